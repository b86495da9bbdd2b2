//! The conformance suite: servers of one process on a real Redis Cluster of three masters.

mod support;

use support::cluster::ClusterFleet;

signalr_testkit::backplane_conformance!(ClusterFleet::start());
