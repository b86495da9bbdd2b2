//! Fuzz target: a client's WebSocket frames. The body is `signalr_transport::fuzzing::websocket_decode`.

#![no_main]

use signalr_transport::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::websocket_decode(data));
