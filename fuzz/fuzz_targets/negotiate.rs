//! Fuzz target: negotiate queries and documents. The body is `signalr_protocol::fuzzing::negotiate`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::negotiate(data));
