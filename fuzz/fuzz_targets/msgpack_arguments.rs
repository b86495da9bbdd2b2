//! Fuzz target: MessagePack values read as many types. The body is `signalr_protocol::fuzzing::msgpack_arguments`.

#![no_main]

use signalr_protocol::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::msgpack_arguments(data));
