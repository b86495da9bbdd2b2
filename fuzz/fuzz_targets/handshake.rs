//! Fuzz target: requests and responses of the handshake. The body is `signalr_protocol::fuzzing::handshake`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::handshake(data));
