//! The conformance suite: servers of one process on a real Redis, which is each rule's own, or one of any kind that runs
//! already (`cargo xtask cluster --redis KIND --run conformance`).

mod support;

use support::given::GivenFleet;

signalr_testkit::backplane_conformance!(GivenFleet::start());
