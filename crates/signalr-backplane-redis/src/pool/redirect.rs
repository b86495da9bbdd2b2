//! What a node of a Cluster answers for a key that is not its own.
//!
//! Owns the reading of `MOVED` and `ASK`; pure. They are followed by the connection that got them.

use crate::settings::Address;
use redis::{RedisResult, Value};

/// Where to go instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// There, from now on.
    Moved(Address),
    /// There, for this once: the slot is on its way.
    Ask(Address),
}

impl Redirect {
    /// Reads an answer of the node at `asked`; `None` when it is any other.
    pub(super) fn read(answer: &RedisResult<Value>, asked: &Address) -> Option<Self> {
        match answer {
            Ok(Value::ServerError(error)) => Self::parse(error.code(), error.details()?, asked),
            Err(error) => Self::parse(error.code()?, error.detail()?, asked),
            Ok(_) => None,
        }
    }

    /// Where that is.
    pub(super) fn address(&self) -> &Address {
        match self {
            Self::Moved(address) | Self::Ask(address) => address,
        }
    }

    /// Reads the answers to a pipeline: a redirection when all of them are, and the same; then nothing of it was done.
    pub(super) fn read_all(answers: &RedisResult<Vec<Value>>, asked: &Address) -> Option<Self> {
        let mut all = answers.as_ref().ok()?.iter().map(|answer| match answer {
            Value::ServerError(error) => Self::parse(error.code(), error.details()?, asked),
            _ => None,
        });
        let first = all.next()??;
        all.all(|other| other.as_ref() == Some(&first)).then_some(first)
    }

    /// `MOVED 3999 127.0.0.1:6381`. A node that does not know how it is reached leaves out the host: then it is the same.
    fn parse(code: &str, details: &str, asked: &Address) -> Option<Self> {
        let (host, port) = details.split_ascii_whitespace().nth(1)?.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { &asked.host } else { host };
        let address = Address { host: host.to_owned(), port: port.parse().ok()? };
        match code {
            "MOVED" => Some(Self::Moved(address)),
            "ASK" => Some(Self::Ask(address)),
            _ => None,
        }
    }
}

/// Whether any of these answers says that the key is somebody else's, or that a transaction fell for such a reason.
pub(super) fn is_misled(answers: &RedisResult<Vec<Value>>) -> bool {
    let misled = |code: &str| ["MOVED", "ASK", "EXECABORT"].contains(&code);
    match answers {
        Err(error) => error.code().is_some_and(misled),
        Ok(answers) => {
            answers.iter().any(|answer| matches!(answer, Value::ServerError(error) if misled(error.code())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn redirections_are_read_whoever_they_name() {
        let asked = address("asked", 1);
        let read = |code, details| Redirect::parse(code, details, &asked);
        assert_eq!(read("MOVED", "3999 127.0.0.1:6381"), Some(Redirect::Moved(address("127.0.0.1", 6381))));
        assert_eq!(read("ASK", "3999 h.example:6381"), Some(Redirect::Ask(address("h.example", 6381))));
        assert_eq!(read("MOVED", "3999 ::1:6381"), Some(Redirect::Moved(address("::1", 6381))));
        assert_eq!(read("MOVED", "3999 :6381"), Some(Redirect::Moved(address("asked", 6381))));
        for (code, details) in [("ERR", "3999 h:1"), ("MOVED", "3999"), ("MOVED", "3999 h"), ("ASK", "1 h:x")]
        {
            assert_eq!(read(code, details), None, "{code} {details}");
        }
    }
}
