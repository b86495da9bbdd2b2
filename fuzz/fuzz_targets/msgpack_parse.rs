//! Fuzz target: one MessagePack message body. The body is `signalr_protocol::fuzzing::msgpack_parse`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::msgpack_parse(data));
