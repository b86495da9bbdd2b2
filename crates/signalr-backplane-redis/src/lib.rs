//! The Redis backplane of SignalR, wire-compatible with ASP.NET Core's.
//!
//! [`RedisBackplane`] joins servers, Rust and ASP.NET Core together, into one fleet through one Redis; [`options`] is its
//! configuration: URLs, StackExchange.Redis connection strings and a builder. [`wire`] is the format alone, as pure
//! functions: enough to send to a fleet from outside with any Redis client. `FORMAT.md` beside this crate's `Cargo.toml`
//! writes it down for other languages.
//!
//! ```no_run
//! # async fn example() -> Result<(), signalr_core::BackplaneError> {
//! use signalr_backplane_redis::RedisBackplane;
//!
//! let backplane = RedisBackplane::connect("redis://127.0.0.1").await?;
//! # drop(backplane);
//! # Ok(())
//! # }
//! ```
//!
//! # Promises, and the test that holds each
//!
//! | promise | test |
//! | --- | --- |
//! | every rule of the contract of [`Backplane`](signalr_core::Backplane), FIFO per sender and topic and one order per topic for all servers among them | `tests/conformance_redis.rs` |
//! | `Ordered`: local members get a send from Redis as all others do; `LocalFirst`: at once, and the origin tag keeps the echo from them; a connection of this server is reached without Redis; every message is written in all protocols of the fleet | unit tests of `signalr_core`'s `manager::send`, `local_first_delivers_one_copy` and `all_clients_see_one_order` of the conformance suite |
//! | group changes and questions for clients of other servers: answered, or failed at once when nobody has the client (any more), without the right to count by their deadline; never kept | `grouping_an_unknown_connection_fails_soon`, `asking_an_unknown_connection_fails_soon` and `a_disconnect_fails_the_question` of the conformance suite, unit tests of `manager::wait`, `commands_acks_and_answers_are_never_kept`, `a_server_is_killed_with_questions_pending` |
//! | what changes is told: events, metrics, log lines | `every_transition_is_an_event_a_log_line_and_a_metric` |
//! | the wire format is the reference's, byte for byte | `tests/vectors_redis_protocol.rs` |
//! | the format is written down, every example in it is true, and it is enough to write a program that sends | `tests/format_document.rs`, `integration-tests/js/cluster/emitter.test.mjs` |
//! | servers of ours and of ASP.NET Core are one fleet: targets, groups, client results, prefix, compression | `integration-tests/tests/dotnet_redis.rs`, `integration-tests/js/cluster/mixed.test.mjs` (on every kind of Redis by `cargo xtask cluster --all`) |
//! | at most once, also across an outage; what is lost is between what was dropped and dropped + unknown | `a_killed_redis_costs_what_was_counted_and_nothing_arrives_twice`, `a_frozen_redis_is_noticed_and_costs_what_was_counted` |
//! | what was written and never answered is unknown: never sent again, never served locally | `what_was_written_and_never_answered_is_unknown_and_never_sent_again` |
//! | what no byte was written of is treated by the policy, as if it had come after the loss | `what_was_never_written_to_a_frozen_redis_is_kept`, unit tests of `pipe` and `lane` |
//! | a server that receives nothing serves its own members; what it misses lies inside a reported gap | `a_deaf_server_serves_its_own_members_and_reports_the_gap` |
//! | a publisher that is cut alone loses nothing but what is unknown | `a_publisher_that_is_cut_alone_loses_only_what_is_unknown` |
//! | kept messages wait for a server that came a moment before the outage (one of ASP.NET Core: a quarter of a second before), and not for ever for one that does not come back, however often the publisher is cut | `a_server_that_came_just_before_an_outage_is_waited_for`, `a_publisher_that_is_cut_again_and_again_keeps_nothing_for_ever` |
//! | an application is told of all that happens to the connections | `a_dead_redis_raises_every_event_in_its_order` |
//! | each [`OutagePolicy`] does what it says; a full buffer drops the oldest | `tests/policies.rs` |
//! | the origin tag is written only where local members were served; what was kept leaves in its order, in front of newer messages, also when the publisher is lost again | unit tests of `lane` |
//! | every queue is bounded; what finds no room in time was not sent, and its caller knows; what this server cannot deliver is counted and makes it `Degraded` | unit tests of `lane` and `inbox`, `a_message_that_finds_no_room_in_time_is_refused_and_never_sent` |
//! | after three failures in a row nothing is tried but small trials, at most 30 s apart; life that the other connection has shown ends the wait | unit tests of `breaker` and `life`, `the_breaker_opens_while_redis_is_dead_and_closes_when_it_is_back` |
//! | all that is wanted is in force before the state is `Up` | `ten_thousand_channels_come_back_before_the_state_is_up` |
//! | also when the subscriber is cut again and again while it subscribes | `a_subscriber_that_is_cut_while_it_subscribes_gets_everything_back` |
//! | a server that keeps up is not ended by the limits of Redis' output buffers, whatever the bursts | `bursts_beyond_the_soft_limit_of_redis_cost_nothing` |
//! | a Redis that hangs is noticed within 3.5 s, a busy process cuts nothing healthy | `a_frozen_redis_is_noticed_and_costs_what_was_counted`, `a_starved_process_does_not_cut_healthy_connections` |
//! | two connections that lead to different servers are found out | `a_subscriber_that_leads_elsewhere_is_found_out_and_replaced` |
//! | a Redis that is not there at the start is waited for, or is an error, as configured | `a_redis_that_comes_late_is_waited_for`, `a_connection_string_fails_at_the_start_as_the_reference_does` |
//! | with the option [`ordered_direct`](options::RedisOptions::ordered_direct), sends to single connections keep their place among all others of their sender, also while Redis is away | `tests/ordered_direct.rs` |
//! | all of the contract also over TLS with certificates on both sides, as a user who may use one prefix only | `tests/secured.rs` |
//! | a wrong certificate, name or TLS version, and a certificate that the application rejects, are refused | `a_server_or_client_without_the_right_certificate_is_refused`, `the_versions_of_tls_are_those_that_were_asked_for`, `the_application_judges_certificates_after_the_usual_check` |
//! | a wrong password and missing rights are errors that do not count as transient, and show no password | `a_wrong_password_is_refused_and_shown_to_nobody`, `no_password_is_logged`, `no_way_to_fail_shows_a_password`, `missing_rights_are_refused_until_they_are_granted` |
//! | all of the contract also without the commands that restricted services lack; what is disabled is never sent | `tests/restricted.rs`, `what_the_command_map_disables_is_never_sent` |
//! | all of the contract also on a server that has no `HELLO`, with or without a password or user, Sentinels and Clusters too; also through its outages; what it speaks is found out each time | `tests/without_hello/mod.rs`, on a real Redis 5 `integration-tests/tests/cluster_redis5.rs`, `a_server_may_lose_hello_and_get_it_back`, `a_killed_redis_without_hello_costs_what_was_counted_and_nothing_arrives_twice`, `a_frozen_redis_without_hello_is_noticed_and_costs_what_was_counted`, `a_killed_primary_is_replaced_where_nobody_knows_hello`, `a_cluster_without_hello_serves_messages_and_keys` |
//! | servers that speak RESP2 and RESP3 to Redis are one fleet, for frames of any bytes | `both_protocols_carry_every_byte_in_one_fleet` |
//! | `HELLO` is never sent where the command map or `protocol=resp2` forbids it | `hello_is_never_sent_where_it_is_forbidden` |
//! | connections go over a Unix socket or an application's own streams if so configured, the pool's too | `a_unix_socket_is_a_way_to_redis`, `streams_come_from_the_applications_factory`, `the_pool_goes_the_same_way` |
//! | keyed work is served by deadpool-redis where its manager can do it, sized and timed by the options | `the_pool_works_with_keys_on_the_same_redis`, `the_pool_is_sized_timed_and_named_by_the_options` |
//! | in a Cluster its connections reach the keys of all nodes, also while a slot moves | `the_pool_reaches_the_keys_of_all_nodes`, `the_pool_follows_a_slot_that_moves` |
//! | on a Redis Cluster too, every rule of the contract; tickets count the subscribers of one node only | `tests/cluster_conformance.rs` |
//! | each channel is published on the owner of its slot; subscribers are counted on all nodes | `each_channel_is_published_on_the_owner_of_its_slot`, `receivers_are_counted_on_all_nodes` |
//! | a slot that moves costs nothing; a node that dies or hangs costs what was counted, and the others serve its channels | `a_slot_that_moves_while_messages_are_published_costs_nothing`, `a_node_that_is_killed_costs_what_was_counted_and_is_used_again_when_it_is_back`, `a_node_that_hangs_is_noticed_and_done_without`, `a_subscriber_whose_node_dies_goes_on_at_another_one` |
//! | every rule of the contract with Sentinel too | `tests/failover.rs` |
//! | whole fleets, clients and all, keep these accounts when a primary dies, hangs, sleeps or is changed by hand, when a stranger answers at its old address, when a master of a Cluster dies or hangs, a slot moves, a password or a certificate is wrong for a while, with ACL on Sentinel and TLS on Cluster too | `integration-tests/tests/cluster_topologies.rs` |
//! | a client on another server answers a question also where `PUBLISH` counts no receiver | `clients_on_other_servers_answer_questions` |
//! | a primary that dies, hangs or is replaced by hand is followed to the one that Sentinel names; an old one that comes back splits nothing | `a_killed_primary_is_replaced_by_the_one_that_sentinel_names`, `a_paused_primary_that_comes_back_splits_nothing`, `a_failover_by_hand_moves_both_connections` |
//! | a start in the middle of a failover waits for its end | `a_start_while_a_sentinel_and_the_primary_are_gone_waits_for_the_failover` |
//! | among several endpoints the primary is used, and left when it is demoted | `the_primary_among_several_endpoints_is_used_and_followed` |
//! | a `READONLY` answer to the pool makes both connections and the pool look for the primary at once | `the_pool_leaves_a_primary_that_has_become_read_only` |
//! | a Redis that still loads its data delivers messages and loses none; work with keys waits for it | `a_redis_that_still_loads_its_data_delivers_and_is_waited_for` |
//! | a server that ends sends its clients away when all has come for them that Redis had confirmed before, in a Cluster too, whose nodes pass on later what they have confirmed; it waits 2 s at most ([`probe_timeout`](options::RedisOptions::probe_timeout)) | `what_was_confirmed_is_here_when_a_server_has_caught_up`, `catching_up_ends_when_redis_hangs_or_is_gone`, `integration-tests/js/cluster/elastic.test.mjs` (on every kind of Redis by `cargo xtask cluster --all`) |
//! | clients stay connected throughout | `integration-tests/tests/redis_fleet.rs` |
//!
//! # How a message travels
//!
//! Every message takes its place in the *lane* before `publish` returns, and the lane decides by what works at that
//! moment. Both connections are up: it is published as it is, and local members get it back from Redis like everybody
//! else. The subscriber is not up: local members get it at once, and it is published with the *origin tag*, which makes
//! this server ignore the echo. The publisher is not up: [`OutagePolicy`] decides. Group commands, acks and client
//! results are never kept: they fail at once with a transient error.
//!
//! When Redis is back, kept messages wait until the rest of the fleet is (as many servers as before listen to the hub,
//! or 2 s have passed since this server listens again), then leave in order, in front of everything newer; [`RedisEvent::Restored`] says what was
//! replayed, dropped and unknown. Across an outage order holds per sender and topic, except that the echo of an unknown
//! message may follow newer ones.
//! A Redis that is killed may have confirmed in its last moment what it had handed to nobody yet, at most what one turn of its
//! event loop takes: that is lost and counted as published, and nothing that a client could do tells of it.
//!
//! # Connections
//!
//! Two per server process, for all hubs (in a Cluster the publisher has one per owner of slots): the subscriber carries
//! nothing but subscriptions, the publisher everything else. A small message with nothing in front of it is written by
//! whoever publishes it (on plain sockets, not in a Cluster); else the publisher's own task writes, many messages per system
//! call. Both are watched by their traffic and by a probe, dialled
//! again without an end. [`RedisBackplane::pool`] is for an application's own work with keys.
//! deadpool-redis makes and keeps its connections, wherever they are plain TCP or Unix sockets to a server that has `PING`
//! and `UNWATCH`, by which it tests them (a user without the right to one of them gets a new connection each time); with
//! Sentinel or several endpoints it is given the primary. Else the pool's connections are dialled as the backplane's own.
//!
//! Every connection, those of deadpool-redis apart, is made in one way: TCP, a Unix socket or a stream of the application's
//! ([`connection_factory`](options::RedisOptionsBuilder::connection_factory)), TLS over it if `ssl` is set, then the login.
//! TLS is rustls with *ring*, whatever else the process has installed; sessions are never resumed, so that certificates
//! are judged each time. A refused login is tried again like everything else, because rights may be granted later.
//!
//! RESP3 is spoken (`HELLO 3`, Redis 6 or newer). A server that does not know `HELLO` or that protocol is dialled once more
//! and spoken to in RESP2, by `AUTH` and `SUBSCRIBE` alone; each connection finds out for itself. Nothing is lost by that but
//! one more dial each time, and with Sentinels one more connection to each, because those that receive cannot ask. Where it is
//! known beforehand, `protocol=resp2` or a command map that disables `HELLO` saves the attempt, and is needed where a
//! server closes the connection instead of saying so. The answer of a server that does
//! not know `HELLO` repeats what it was told, the password too, and is shown to nobody.
//!
//! With Sentinel or several endpoints both go to the server that says, by `ROLE`, that it is primary. All Sentinels are
//! asked, and the one that knows of the newest failover is believed; all are listened to (`+switch-master`) and asked
//! again every second. The publisher's server is asked for its role once per probe period, so that one that was demoted
//! by hand is left. Among several endpoints that say they are primary the first of the list is used; nothing but Sentinel
//! can tell which of them is right: not the reference library's tie-breaker either, a key that one of them may hold. The
//! option `tieBreaker` is taken and written back, so that a connection string may be shared with .NET, and nothing reads or
//! writes that key here. ASP.NET Core servers may stay with a primary that hung until it had been demoted, and are then heard
//! by their own clients only (seen with 10.0, for more than a minute).
//!
//! Commands that are sent: `HELLO`, `AUTH`, `SELECT`, `SUBSCRIBE`, `UNSUBSCRIBE`, `PUBLISH`; without `HELLO` and without a
//! password one `PING`, unless it is disabled, which shows whether one is wanted; `PUBSUB NUMSUB` to see
//! whether a client still has a server, and `CLIENT SETNAME` if a name was chosen, neither of them when the command map
//! disables it; `ROLE` with Sentinel (if it may be asked) and with several endpoints (which cannot do without); to
//! Sentinels `SENTINEL MASTER` and `SENTINEL GET-MASTER-ADDR-BY-NAME`; the pool sends `UNWATCH` and `PING` unless they are disabled. Channels of our own, which ASP.NET Core
//! ignores, begin with `HUB:internal:fleet:`. The rights of a user (ACL) that suffice, for the channel prefix `PREFIX`
//! (in a Cluster `CLUSTER SLOTS` is sent too, and `ASKING` by the pool: add `+cluster|slots`):
//!
//! ```text
//! resetchannels &PREFIX* +hello +auth +select +publish +subscribe +unsubscribe +pubsub|numsub
//! ```
//!
//! With Sentinel or several endpoints `+role` besides.
//!
//! # What can be seen
//!
//! Every transition is an event ([`RedisBackplane::events`], or the state's own, [`RedisBackplane::state`]), a log line
//! (`tracing`) and a metric (the `metrics` facade; the sums that matter most are in [`RedisBackplane::counters`] too):
//!
//! | what | event | metric, counters where nothing else is said |
//! | --- | --- | --- |
//! | the state changes | `state` | `signalr.redis.state_changes` by `state` (starting, up, degraded, down) |
//! | a connection is there, or not | `Connected`, `Failed` | `signalr.redis.connections`, `signalr.redis.connection_failures` by `role` |
//! | the subscriber was replaced: a gap | `SubscriberReplaced` | `signalr.redis.gaps`; histogram `signalr.redis.resubscribe_seconds` |
//! | an outage is over | `Restored` | `signalr.redis.outages` |
//! | the breaker | `BreakerOpened`, `BreakerHalfOpen`, `BreakerClosed` | `signalr.redis.breaker_transitions` by `state` |
//! | messages, by their fate | counts in `Restored` | `signalr.redis.published`, `.unknown`, `.dropped`, `.refused`, `.buffered`, `.replayed`, `.received`, `.malformed`, `.overflowed` |
//! | messages by hub, as the guide to scaling out measures them | | `signalr.messages.published`, histogram `signalr.message.size` in bytes, both by `hub` |
//! | what waits, in bytes | | gauge `signalr.redis.queue_bytes` by `queue` (publish, in_flight, kept, deliver), four times a second |
//! | Redis' pulse | | histogram `signalr.redis.round_trip_seconds` (the probe's), gauge `signalr.redis.probe_age_seconds` |
//! | the time until a message is with all local receivers' queues | | histogram `signalr.redis.fan_out_seconds`, of one message in 64 |
//!
//! Bounds: 64 MiB wait for the publisher, 4 MiB ([`in_flight_bytes`](options::RedisOptions::in_flight_bytes)) are with
//! Redis unanswered, 64 MiB per hub wait for their delivery, and the buffer of an outage is as large as its policy says.
//! A message that finds no room for the publisher, or waits for it longer than
//! [`async_timeout`](options::RedisOptions::async_timeout), is an error for its caller; one that cannot be delivered here
//! is dropped, counted as overflowed, and makes the state `Degraded` for 10 s.
//!
//! # Redis Cluster
//!
//! `redis-cluster://HOST:PORT,HOST:PORT` names some nodes; the others are learned. The publisher has one connection to
//! each node that owns slots, and publishes each channel on the owner of its slot, with plain `PUBLISH`; the subscriber
//! is on one node, and on another one when that dies. Servers of ours thus see one order per topic. Around a moving
//! slot or a lost node, while servers may disagree about the owner, and beside ASP.NET Core servers, which publish
//! elsewhere, order holds per sender and topic only. What ASP.NET Core servers themselves send in a Cluster keeps no order at
//! all, and they do not find clients of other servers to ask (seen with 10.0: their client library publishes on any node,
//! and counts the receivers of that one). Order across topics is not promised anywhere, and in a Cluster it is not
//! seen either.
//!
//! Owners are asked for once per probe period, and what most nodes say counts. When a slot moves, publishing pauses
//! until what is in flight was answered and has come back here (1 s at most), and for 0.25 s at least. When a node is lost,
//! publishing begins anew on those that are left, after what they had in flight was answered and has come (0.5 s at most), as
//! after any short outage; while it is away they share its channels. So order per sender and topic holds across all this too,
//! as long as a node that this server has heard from takes less than a quarter of a second longer to reach the others.
//!
//! A node confirms a message before it hands it on to other nodes. One that is killed may take with it what it had confirmed
//! in the last turn of its event loop: that is lost and counted as published. One that hangs and
//! goes on may hand it on then, behind newer messages, as it does with what is unknown. Nothing that a client could do tells of
//! either. All else that is lost is counted, or lies in a gap that was reported.
//!
//! Whether a client still has a server is unknown while a node that owns slots cannot be asked. Others are not asked: the
//! clients of an ASP.NET Core server that goes on listening to a node which was demoted while it hung are not found, until that
//! server subscribes anew. [`RedisBackplane::pool`] has
//! connections to each node; they send commands on to the owners of their keys
//! ([`get_for`](RedisPool::get_for) goes there at once), also while a slot moves.
//!
//! # What is not there yet
//!
//! Renamed `SUBSCRIBE` and `UNSUBSCRIBE`. Options that ask for them are refused with an error that says so.

mod backoff;
mod backplane;
mod breaker;
mod buffer;
mod cluster;
mod dial;
mod driver;
mod duplex;
mod engine;
mod fan;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod hub;
mod inbox;
mod lane;
mod lent;
mod life;
mod listener;
mod markers;
mod member;
mod meter;
mod moves;
pub mod options;
mod outage;
mod outlet;
mod parcel;
mod pipe;
mod pool;
mod publisher;
mod pulse;
mod registry;
mod report;
mod resp;
mod route;
mod settings;
mod slots;
mod stats;
mod subscriber;
mod tls;
mod traffic;
mod transport;
pub mod wire;

pub use deadpool_redis;

pub use backplane::RedisBackplane;
pub use health::{RedisEvent, RedisEvents, Role};
pub use options::{OutagePolicy, RedisOptions};
pub use pool::{PooledConnection, RedisPool};
pub use stats::RedisCounters;
