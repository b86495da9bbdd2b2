//! Fuzz target: messages of the Redis backplane. The body is `signalr_backplane_redis::fuzzing::redis_messages`.

#![no_main]

use signalr_backplane_redis::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::redis_messages(data));
