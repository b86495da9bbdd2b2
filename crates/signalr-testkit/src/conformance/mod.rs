//! The conformance suite: what every backplane must do, one function per rule.
//!
//! Owns the list of rules and how a rule fails. Backplanes come from a [`Fleet`], which their authors write;
//! [`backplane_conformance!`](crate::backplane_conformance) makes one test of each rule.
//!
//! Rules of the first kind use the trait alone (`life`, `topics`, `order`); rules of the second kind put a
//! `HubLifetimeManager` on it and look at what clients receive (`sends`, `groups`, `results`). The second kind covers
//! the reference's checklist for scale-out managers.
//!
//! Rules wait in real time for conditions, so that they fit backplanes on real sockets. That something does *not*
//! arrive is checked by a later message that does: a slow fault can be missed that way, but no rule fails by accident.

mod fleet;
mod groups;
mod life;
mod listener;
mod order;
mod results;
mod sends;
mod servers;
mod topics;

pub use fleet::{Fleet, Verdict, Violation, run};
pub use groups::*;
pub use life::*;
pub use order::*;
pub use results::*;
pub use sends::*;
pub use topics::*;

/// Makes a module of tests, one for each rule of the conformance suite.
///
/// The argument is an expression that gives a new [`Fleet`](crate::conformance::Fleet) for every test; it may await.
///
/// ```text
/// signalr_testkit::backplane_conformance!(MyFleet::start().await);
/// ```
#[macro_export]
macro_rules! backplane_conformance {
    ($fleet:expr) => {
        $crate::backplane_conformance! { @rules $fleet;
            a_join_puts_the_hubs_own_topics_in_force
            nodes_have_different_names
            the_state_is_up_after_a_join
            every_message_arrives_unchanged
            large_messages_arrive
            messages_of_the_fleet_arrive_unchanged
            hubs_do_not_mix
            what_was_confirmed_is_here_when_a_server_has_caught_up
            leaving_flushes_and_ends_delivery
            others_go_on_when_one_leaves
            a_topic_keeps_the_order_of_its_publisher
            two_publishers_are_seen_in_one_order_by_all
            a_publish_takes_its_place_before_it_returns
            messages_of_one_topic_come_one_at_a_time
            tickets_tell_the_receivers
            a_publisher_hears_itself
            a_subscription_is_in_force_when_it_returns
            subscribing_twice_is_subscribing_once
            a_dropped_subscribe_keeps_the_wish
            the_last_wish_counts
            unsubscribing_ends_delivery
            topics_do_not_mix
            receivers_are_counted
            all_reaches_every_server
            all_except_leaves_out_the_excluded
            a_connection_is_reached_on_another_server
            a_local_connection_gets_one_copy
            several_connections_are_reached_wherever_they_are
            a_group_is_reached_from_a_server_without_members
            a_group_send_leaves_out_the_excluded
            several_groups_are_several_sends
            all_connections_of_a_user_are_reached
            a_user_stays_subscribed_until_the_last_connection_is_gone
            names_are_literal
            disconnected_clients_get_nothing
            a_client_that_fails_does_not_hinder_others
            a_frozen_client_does_not_hinder_others
            all_clients_see_one_order
            local_first_delivers_one_copy
            a_client_without_its_protocol_is_cut
            unknown_kinds_of_the_fleet_are_ignored
            a_server_that_stops_leaves_the_others_alone
            a_connection_on_another_server_can_be_grouped
            adding_twice_is_adding_once
            a_connection_on_another_server_can_be_ungrouped
            ungrouping_a_stranger_changes_nothing
            a_disconnect_leaves_the_groups
            grouping_an_unknown_connection_fails_soon
            an_unknown_group_command_is_acked
            many_group_commands_are_all_acked
            a_client_result_crosses_servers
            a_client_error_crosses_servers
            a_disconnect_fails_the_question
            asking_an_unknown_connection_fails_soon
            questions_of_several_servers_do_not_collide
            a_wrong_client_cannot_answer
            a_dropped_question_is_forgotten
        }
    };
    (@rules $fleet:expr; $($rule:ident)*) => {
        mod conformance {
            use super::*;
            $(
                #[test]
                fn $rule() {
                    $crate::conformance::run(stringify!($rule), async {
                        let fleet = $fleet;
                        $crate::conformance::$rule(&fleet).await
                    });
                }
            )*
        }
    };
}
