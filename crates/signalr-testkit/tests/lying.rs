//! The conformance suite fails when it should: one backplane for each kind of lie, and the rules that must see it.
//!
//! Each liar wraps an honest memory backplane and breaks one promise. The same rules must pass on an honest wrapper, so
//! that it is the lie that is seen and not the wrapping.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may fail loudly")]

use signalr_backplane_memory::MemoryBus;
use signalr_core::{
    Backplane, BackplaneError, BackplaneHub, BackplaneMessage, BackplaneSink, Events, HubJoin, Outcome,
    Subscribed, Subscribing, Ticket, Topic,
};
use signalr_protocol::Protocol;
use signalr_testkit::conformance::{self as rules, Fleet, Verdict};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// Everything is passed on.
    None,
    /// Every tenth message is lost.
    Loses,
    /// Every message comes twice.
    Doubles,
    /// Two messages change places.
    Swaps,
    /// A publisher hears its own messages at once, the others later.
    HearsItselfFirst,
    /// `subscribe` says that it is in force and does nothing before the next publish.
    SubscribesLate,
    /// The wish is recorded only when the future is polled.
    ForgetsDroppedWishes,
    /// `unsubscribe` does nothing.
    NeverUnsubscribes,
    /// As many unsubscribes are needed as there were subscribes.
    CountsWishes,
    /// Users and groups of one name are one topic.
    MixesKinds,
    /// Groups are compared without regard to case.
    IgnoresCase,
    /// `receivers` always says one.
    MakesUpReceivers,
    /// Tickets always say one.
    MakesUpOutcomes,
    /// Everything goes on after `leave`.
    NeverLeaves,
    /// Exclusions are not transmitted.
    DropsExclusions,
    /// The origin tag is not transmitted.
    DropsOrigins,
    /// Where an answer goes is not transmitted.
    DropsReturns,
    /// Only JSON is transmitted.
    DropsMessagePack,
    /// Acks are not transmitted.
    DropsAcks,
    /// All joins have one name.
    OneName,
    /// A message is delivered when the next one comes.
    LagsBehind,
    /// A join leaves out some of the hub's own topics.
    JoinsHalf,
}

struct LyingFleet(MemoryBus, Lie);

struct Liar(Arc<dyn Backplane>, Lie);

struct LyingHub {
    honest: Arc<dyn BackplaneHub>,
    sink: Arc<LyingSink>,
    lie: Lie,
    late: Mutex<Vec<Topic>>,
    wishes: Mutex<Vec<Topic>>,
    node: String,
}

struct LyingSink {
    honest: Arc<dyn BackplaneSink>,
    lie: Lie,
    count: AtomicU64,
    held: Mutex<Option<(Topic, BackplaneMessage)>>,
    own: Mutex<Vec<(Topic, BackplaneMessage)>>,
}

#[async_trait::async_trait]
impl Fleet for LyingFleet {
    async fn server(&self) -> Arc<dyn Backplane> {
        Arc::new(Liar(Arc::new(self.0.backplane()), self.1))
    }

    fn patience(&self) -> Duration {
        // Liars are waited for in vain; the honest wrapper gets the time it needs.
        if self.1 == Lie::None { Duration::from_secs(10) } else { Duration::from_millis(500) }
    }
}

#[async_trait::async_trait]
impl Backplane for Liar {
    async fn join(&self, hub: HubJoin) -> Result<Arc<dyn BackplaneHub>, BackplaneError> {
        let sink = Arc::new(LyingSink {
            honest: hub.sink,
            lie: self.1,
            count: AtomicU64::new(0),
            held: Mutex::default(),
            own: Mutex::default(),
        });
        let honest = self.0.join(HubJoin::new(hub.name, sink.clone())).await?;
        if self.1 == Lie::JoinsHalf {
            honest.unsubscribe(&[Topic::Groups, Topic::Ack(honest.node().into())]);
        }
        let node = if self.1 == Lie::OneName { "node".to_owned() } else { honest.node().to_owned() };
        let (late, wishes) = Default::default();
        Ok(Arc::new(LyingHub { honest, sink, lie: self.1, late, wishes, node }))
    }
}

impl LyingHub {
    fn twist(&self, topic: &Topic) -> Topic {
        match (self.lie, topic) {
            (Lie::MixesKinds, Topic::User(name)) => Topic::Group(name.clone()),
            (Lie::IgnoresCase, Topic::Group(name)) => Topic::group(&name.to_ascii_lowercase()),
            _ => topic.clone(),
        }
    }

    fn twist_all(&self, topics: &[Topic]) -> Vec<Topic> {
        topics.iter().map(|topic| self.twist(topic)).collect()
    }
}

#[async_trait::async_trait]
impl BackplaneHub for LyingHub {
    fn node(&self) -> &str {
        &self.node
    }

    fn publish(&self, topic: &Topic, message: BackplaneMessage) -> Ticket {
        if self.lie == Lie::HearsItselfFirst && *topic == Topic::All {
            self.sink.own.lock().unwrap().push((topic.clone(), message.clone()));
            self.sink.honest.deliver(topic, message.clone());
        }
        let ticket = self.honest.publish(&self.twist(topic), message);
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        drop(self.honest.subscribe(&late));
        match self.lie {
            Lie::MakesUpOutcomes => Ticket::known(Ok(Outcome::Receivers(1))),
            _ => ticket,
        }
    }

    fn subscribe(&self, topics: &[Topic]) -> Subscribing<'_> {
        let topics = self.twist_all(topics);
        match self.lie {
            Lie::SubscribesLate => {
                self.late.lock().unwrap().extend(topics);
                Box::pin(std::future::ready(Ok(Subscribed::InForce)))
            }
            Lie::ForgetsDroppedWishes => Box::pin(async move { self.honest.subscribe(&topics).await }),
            _ => {
                self.wishes.lock().unwrap().extend(topics.iter().cloned());
                self.honest.subscribe(&topics)
            }
        }
    }

    fn unsubscribe(&self, topics: &[Topic]) {
        let topics = self.twist_all(topics);
        match self.lie {
            Lie::NeverUnsubscribes => {}
            Lie::CountsWishes => {
                let mut wishes = self.wishes.lock().unwrap();
                for topic in topics {
                    if let Some(position) = wishes.iter().position(|other| *other == topic) {
                        wishes.swap_remove(position);
                    }
                    if !wishes.contains(&topic) {
                        self.honest.unsubscribe(&[topic]);
                    }
                }
            }
            _ => self.honest.unsubscribe(&topics),
        }
    }

    async fn receivers(&self, topic: &Topic) -> Option<u64> {
        match self.lie {
            Lie::MakesUpReceivers => Some(1),
            _ => self.honest.receivers(&self.twist(topic)).await,
        }
    }

    fn state(&self) -> Events {
        self.honest.state()
    }

    async fn caught_up(&self) {
        self.honest.caught_up().await;
    }

    async fn leave(&self) {
        if self.lie != Lie::NeverLeaves {
            self.honest.leave().await;
        }
    }
}

impl LyingSink {
    /// Takes away what the lie does not transmit; `None` when nothing is left.
    fn strip(&self, mut message: BackplaneMessage) -> Option<BackplaneMessage> {
        if let BackplaneMessage::Invocation(call) = &mut message {
            match self.lie {
                Lie::DropsExclusions => call.excluded.clear(),
                Lie::DropsOrigins => call.origin = None,
                Lie::DropsReturns => call.return_to = None,
                Lie::DropsMessagePack => {
                    let json = call.payloads.get(Protocol::Json).cloned()?;
                    call.payloads = Default::default();
                    call.payloads.set(Protocol::Json, json);
                }
                _ => {}
            }
        }
        let dropped = self.lie == Lie::DropsAcks && matches!(message, BackplaneMessage::Ack { .. });
        (!dropped).then_some(message)
    }

    /// Delivers unless this server has heard its own message already.
    fn deliver_others(&self, heard: (Topic, BackplaneMessage)) {
        let mut own = self.own.lock().unwrap();
        match own.iter().position(|other| *other == heard) {
            Some(position) => drop(own.remove(position)),
            None => self.honest.deliver(&heard.0, heard.1),
        }
    }
}

impl BackplaneSink for LyingSink {
    fn deliver(&self, topic: &Topic, message: BackplaneMessage) {
        let Some(message) = self.strip(message) else { return };
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::Loses if count % 10 == 9 => {}
            Lie::Swaps if count % 10 == 4 && self.held.lock().unwrap().is_none() => {
                *self.held.lock().unwrap() = Some((topic.clone(), message));
            }
            Lie::HearsItselfFirst => self.deliver_others((topic.clone(), message)),
            Lie::LagsBehind => {
                let last = self.held.lock().unwrap().replace((topic.clone(), message));
                if let Some((topic, message)) = last {
                    self.honest.deliver(&topic, message);
                }
            }
            _ => {
                if self.lie == Lie::Doubles {
                    self.honest.deliver(topic, message.clone());
                }
                self.honest.deliver(topic, message);
                // A swap with another topic's message would break no promise.
                let swapped = self.held.lock().unwrap().take_if(|(held, _)| held == topic);
                if let Some((topic, message)) = swapped {
                    self.honest.deliver(&topic, message);
                }
            }
        }
    }
}

macro_rules! liars {
    ($($name:ident: $lie:ident is seen by $($rule:ident),+;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $(
                let fleet = LyingFleet(MemoryBus::new(), Lie::$lie);
                let verdict: Verdict = rules::$rule(&fleet).await;
                assert!(verdict.is_err(), "the rule {} does not see {:?}", stringify!($rule), fleet.1);
                let fleet = LyingFleet(MemoryBus::new(), Lie::None);
                assert_eq!(rules::$rule(&fleet).await, Ok(()), "{}", stringify!($rule));
            )+
        }
    )*};
}

liars! {
    losses_are_seen: Loses is seen by
        a_topic_keeps_the_order_of_its_publisher, a_publish_takes_its_place_before_it_returns,
        all_clients_see_one_order, many_group_commands_are_all_acked;
    doubles_are_seen: Doubles is seen by
        subscribing_twice_is_subscribing_once, every_message_arrives_unchanged, all_reaches_every_server,
        a_connection_is_reached_on_another_server;
    swaps_are_seen: Swaps is seen by
        a_topic_keeps_the_order_of_its_publisher, two_publishers_are_seen_in_one_order_by_all,
        a_publish_takes_its_place_before_it_returns;
    different_orders_are_seen: HearsItselfFirst is seen by
        two_publishers_are_seen_in_one_order_by_all, all_clients_see_one_order;
    late_subscriptions_are_seen: SubscribesLate is seen by
        a_subscription_is_in_force_when_it_returns, a_group_is_reached_from_a_server_without_members,
        a_connection_on_another_server_can_be_grouped;
    lost_wishes_are_seen: ForgetsDroppedWishes is seen by a_dropped_subscribe_keeps_the_wish;
    kept_subscriptions_are_seen: NeverUnsubscribes is seen by
        unsubscribing_ends_delivery, receivers_are_counted, a_disconnect_leaves_the_groups, the_last_wish_counts;
    counted_wishes_are_seen: CountsWishes is seen by subscribing_twice_is_subscribing_once;
    mixed_kinds_are_seen: MixesKinds is seen by topics_do_not_mix;
    ignored_case_is_seen: IgnoresCase is seen by topics_do_not_mix, names_are_literal;
    made_up_receivers_are_seen: MakesUpReceivers is seen by
        receivers_are_counted, grouping_an_unknown_connection_fails_soon, asking_an_unknown_connection_fails_soon;
    made_up_outcomes_are_seen: MakesUpOutcomes is seen by tickets_tell_the_receivers;
    fake_leaving_is_seen: NeverLeaves is seen by leaving_flushes_and_ends_delivery;
    lost_exclusions_are_seen: DropsExclusions is seen by
        every_message_arrives_unchanged, all_except_leaves_out_the_excluded, a_group_send_leaves_out_the_excluded;
    lost_origins_are_seen: DropsOrigins is seen by
        every_message_arrives_unchanged, local_first_delivers_one_copy;
    lost_return_addresses_are_seen: DropsReturns is seen by
        every_message_arrives_unchanged, a_client_result_crosses_servers, a_client_error_crosses_servers;
    lost_protocols_are_seen: DropsMessagePack is seen by
        every_message_arrives_unchanged, all_reaches_every_server;
    lost_acks_are_seen: DropsAcks is seen by
        an_unknown_group_command_is_acked, a_connection_on_another_server_can_be_grouped;
    late_delivery_is_seen: LagsBehind is seen by what_was_confirmed_is_here_when_a_server_has_caught_up;
    equal_names_are_seen: OneName is seen by nodes_have_different_names;
    half_joins_are_seen: JoinsHalf is seen by
        a_join_puts_the_hubs_own_topics_in_force, a_connection_on_another_server_can_be_grouped;
}
