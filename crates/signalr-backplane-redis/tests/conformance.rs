//! The conformance suite: servers of one process on a real Redis.

mod support;

use support::fleet::RedisFleet;

signalr_testkit::backplane_conformance!(RedisFleet::start());
