//! Fuzz target: replies of Redis. The body is `signalr_backplane_redis::fuzzing::redis_replies`.

#![no_main]

use signalr_backplane_redis::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::redis_replies(data));
