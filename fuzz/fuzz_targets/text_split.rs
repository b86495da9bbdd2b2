//! Fuzz target: frames of a text protocol. The body is `signalr_protocol::fuzzing::text_split`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::text_split(data));
