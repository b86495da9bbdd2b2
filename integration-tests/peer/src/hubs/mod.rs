//! The hubs of `dotnet-peer`, under the same names.
//!
//! Owns what several of them share.

mod bench;
mod default;
mod everything;
mod scale;
mod suite;

pub(crate) use bench::BenchHub;
pub(crate) use default::{authorized_hub, default_hub, dynamic_hub, typed_hub};
pub(crate) use everything::Everything;
pub(crate) use scale::{ScaleHub, live, machine_name, server_name, set_server_name};
pub(crate) use suite::{EchoHandler, TestHub, uncreatable_hub};
