//! What to do with a message, by what works at the moment: the outage rules as a table.
//!
//! Owns the decision; pure. Carrying it out is the lane's work.

use crate::options::OutagePolicy;
use signalr_core::{BackplaneMessage, Topic};

/// What works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Redis can be published to.
    pub(crate) publisher: bool,
    /// Every wanted channel is received.
    pub(crate) subscriber: bool,
    /// Earlier messages still wait in the buffer.
    pub(crate) buffered: bool,
}

/// What kind of message it is, for these rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// A send to clients that local members get back from Redis.
    Send,
    /// A send to clients whose local members the sender has served already.
    Served,
    /// A command or a question: worthless unless its answer can be received.
    Question,
    /// An answer, or a word of the fleet's own.
    Answer,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Publish as it is; local members get it back.
    Publish,
    /// Serve local members now, publish with the origin tag.
    ServeAndPublish,
    /// Serve local members now, keep with the origin tag.
    ServeAndBuffer,
    /// Serve local members now; for the others it is dropped.
    ServeOnly,
    /// A transient error for the caller.
    Fail,
}

impl Class {
    pub(crate) fn of(topic: &Topic, message: &BackplaneMessage) -> Self {
        match message {
            BackplaneMessage::Invocation(message) if message.invocation_id.is_some() => Self::Question,
            BackplaneMessage::Invocation(message) if message.origin.is_some() => Self::Served,
            BackplaneMessage::Invocation(_) => Self::Send,
            BackplaneMessage::GroupCommand(_) => Self::Question,
            _ if matches!(topic, Topic::Groups) => Self::Question,
            _ => Self::Answer,
        }
    }
}

pub(crate) fn decide(class: Class, facts: Facts, policy: OutagePolicy) -> Step {
    match (class, facts.publisher, facts.subscriber) {
        (Class::Answer, true, _) | (Class::Question, true, true) => Step::Publish,
        (Class::Answer | Class::Question, _, _) => Step::Fail,
        (Class::Served, true, _) if !facts.buffered => Step::Publish,
        (Class::Send, true, true) if !facts.buffered => Step::Publish,
        (Class::Send, true, false) if !facts.buffered => Step::ServeAndPublish,
        (Class::Send | Class::Served, _, _) => match policy {
            OutagePolicy::Fail => Step::Fail,
            OutagePolicy::LocalOnly => Step::ServeOnly,
            OutagePolicy::Buffer { .. } => Step::ServeAndBuffer,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICIES: [OutagePolicy; 3] = [
        OutagePolicy::Fail,
        OutagePolicy::LocalOnly,
        OutagePolicy::Buffer { bytes: 1, ttl: std::time::Duration::from_secs(1) },
    ];

    fn facts(publisher: bool, subscriber: bool, buffered: bool) -> Facts {
        Facts { publisher, subscriber, buffered }
    }

    #[test]
    fn all_up_means_publish_whatever_the_policy() {
        for policy in POLICIES {
            for class in [Class::Send, Class::Served, Class::Question, Class::Answer] {
                assert_eq!(decide(class, facts(true, true, false), policy), Step::Publish);
            }
        }
    }

    #[test]
    fn a_deaf_server_serves_its_own_members_and_tags() {
        for policy in POLICIES {
            assert_eq!(decide(Class::Send, facts(true, false, false), policy), Step::ServeAndPublish);
            assert_eq!(decide(Class::Served, facts(true, false, false), policy), Step::Publish);
        }
    }

    #[test]
    fn without_a_publisher_or_behind_a_buffer_the_policy_decides() {
        let wanted = [Step::Fail, Step::ServeOnly, Step::ServeAndBuffer];
        for (policy, wanted) in POLICIES.into_iter().zip(wanted) {
            for facts in [
                facts(false, true, false),
                facts(false, false, false),
                facts(true, true, true),
                facts(true, false, true),
            ] {
                for class in [Class::Send, Class::Served] {
                    assert_eq!(decide(class, facts, policy), wanted, "{class:?} {facts:?}");
                }
            }
        }
    }

    #[test]
    fn questions_and_answers_are_never_kept() {
        for policy in POLICIES {
            for (publisher, subscriber, buffered) in
                [(false, true, false), (false, false, true), (true, true, true), (true, false, false)]
            {
                let facts = facts(publisher, subscriber, buffered);
                let question = if publisher && subscriber { Step::Publish } else { Step::Fail };
                assert_eq!(decide(Class::Question, facts, policy), question);
                let answer = if publisher { Step::Publish } else { Step::Fail };
                assert_eq!(decide(Class::Answer, facts, policy), answer);
            }
        }
    }
}
