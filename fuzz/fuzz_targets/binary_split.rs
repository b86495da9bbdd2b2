//! Fuzz target: frames of a binary protocol. The body is `signalr_protocol::fuzzing::binary_split`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::binary_split(data));
