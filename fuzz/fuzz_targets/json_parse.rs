//! Fuzz target: JSON messages, whole or cut off. The body is `signalr_protocol::fuzzing::json_parse`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::json_parse(data));
