//! What a program with hubs usually needs: `use signalr::prelude::*;`.

pub use crate::builder::SignalR;
pub use futures_core::Stream;
pub use signalr_core::Duplex;
pub use signalr_hub::{
    Caller, ClientStream, Context, Hub, HubBuilder, HubContext, HubError, HubHandle, HubOptions, HubResult,
};

#[cfg(feature = "macros")]
pub use signalr_macros::{hub, hub_client};

#[cfg(feature = "warp")]
pub use signalr_warp::ServerExt as _;
