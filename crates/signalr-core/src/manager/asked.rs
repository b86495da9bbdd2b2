//! Questions that clients were asked and have not answered.
//!
//! Owns whom each went to and where its answer goes, and the bound of what other servers may leave behind: an asker that
//! gave up, or died, does not say so. Waiting for answers is `wait`'s.

use crate::ids::ConnectionId;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Questions of other servers that one client may leave unanswered; a newer one drives out the oldest.
const OPEN: usize = 1_000;

/// A question's id, and the node that the answer goes to when it is not waited for here.
pub(super) type Open = (Arc<str>, Option<Arc<str>>);

/// Why an answer is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody asked that, or it was answered.
    Unknown,
    /// Another connection was asked.
    WrongConnection,
}

#[derive(Default)]
pub(super) struct Asked {
    questions: HashMap<Arc<str>, Question>,
    by_connection: HashMap<ConnectionId, Asks>,
}

struct Question {
    connection: ConnectionId,
    return_to: Option<Arc<str>>,
}

#[derive(Default)]
struct Asks {
    here: Vec<Arc<str>>,
    /// Oldest first.
    elsewhere: VecDeque<Arc<str>>,
}

impl Asked {
    /// Notes a question; gives the one that had to make room for it.
    pub(super) fn insert(
        &mut self,
        id: Arc<str>,
        connection: &ConnectionId,
        return_to: Option<Arc<str>>,
    ) -> Option<Open> {
        self.forget(&id);
        let asks = self.by_connection.entry(connection.clone()).or_default();
        match return_to {
            None => asks.here.push(id.clone()),
            Some(_) => asks.elsewhere.push_back(id.clone()),
        }
        let oldest = (asks.elsewhere.len() > OPEN).then(|| asks.elsewhere.front().cloned()).flatten();
        self.questions.insert(id, Question { connection: connection.clone(), return_to });
        oldest.and_then(|oldest| self.forget(&oldest))
    }

    /// A connection answers; says where the answer goes.
    pub(super) fn answered(
        &mut self,
        id: &str,
        connection: &ConnectionId,
    ) -> Result<Option<Arc<str>>, Refused> {
        let question = self.questions.get(id).ok_or(Refused::Unknown)?;
        if question.connection != *connection {
            return Err(Refused::WrongConnection);
        }
        Ok(self.forget(id).and_then(|(_, return_to)| return_to))
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, id: &str) -> Option<Open> {
        let (id, Question { connection, return_to }) = self.questions.remove_entry(id)?;
        if let Some(asks) = self.by_connection.get_mut(&connection) {
            asks.here.retain(|other| *other != id);
            if let Some(place) = asks.elsewhere.iter().position(|other| *other == id) {
                asks.elsewhere.remove(place);
            }
            if asks.here.is_empty() && asks.elsewhere.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
        Some((id, return_to))
    }

    /// The connection has ended: takes out what it was asked.
    pub(super) fn ended(&mut self, connection: &ConnectionId) -> Vec<Open> {
        let Some(asks) = self.by_connection.remove(connection) else { return Vec::new() };
        let ids = asks.here.into_iter().chain(asks.elsewhere);
        ids.filter_map(|id| self.questions.remove(&id).map(|question| (id, question.return_to))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Option<Arc<str>> {
        Some("node".into())
    }

    #[test]
    fn an_answer_finds_its_question_once_and_only_from_who_was_asked() {
        let (mut asked, one, other) = (Asked::default(), ConnectionId::from("1"), ConnectionId::from("2"));
        asked.insert("a".into(), &one, None);
        asked.insert("b".into(), &one, node());
        assert_eq!(asked.answered("a", &other), Err(Refused::WrongConnection));
        assert_eq!(asked.answered("a", &one), Ok(None));
        assert_eq!(asked.answered("a", &one), Err(Refused::Unknown));
        assert_eq!(asked.answered("b", &one), Ok(node()));
        assert!(asked.questions.is_empty() && asked.by_connection.is_empty());
    }

    #[test]
    fn an_end_takes_the_connections_own_questions_and_no_others() {
        let (mut asked, one, other) = (Asked::default(), ConnectionId::from("1"), ConnectionId::from("2"));
        asked.insert("a".into(), &one, None);
        asked.insert("b".into(), &other, node());
        asked.insert("c".into(), &one, node());
        assert_eq!(asked.ended(&one), [("a".into(), None), ("c".into(), node())]);
        assert_eq!(asked.ended(&one), []);
        assert_eq!(asked.answered("b", &other), Ok(node()));
    }

    #[test]
    fn what_other_servers_leave_behind_is_bounded() {
        let (mut asked, one) = (Asked::default(), ConnectionId::from("1"));
        let mut driven_out = Vec::new();
        for number in 0..OPEN + 3 {
            asked.insert(format!("here {number}").into(), &one, None);
            driven_out.extend(asked.insert(format!("{number}").into(), &one, node()));
        }
        let oldest: Vec<Open> = (0..3).map(|number| (format!("{number}").into(), node())).collect();
        assert_eq!(driven_out, oldest);
        // An answer makes room.
        assert_eq!(asked.answered("500", &one), Ok(node()));
        assert_eq!(asked.insert("one more".into(), &one, node()), None);
        assert_eq!(asked.ended(&one).len(), OPEN + OPEN + 3);
        assert!(asked.questions.is_empty());
    }
}
