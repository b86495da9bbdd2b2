//! Fuzz target: values compressed as MessagePack-CSharp does. The body is `signalr_protocol::fuzzing::lz4_decode`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::lz4_decode(data));
