//! Whether a server is primary: what it says itself, by `ROLE`.
//!
//! Owns the question and what counts as an answer. Publishing to a replica succeeds and reaches nobody else, so nothing
//! but this tells.

use redis::aio::ConnectionLike;
use redis::{ErrorKind, ServerErrorKind, Value};

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Replica,
    /// It did not answer.
    Silent,
    /// It refuses to tell.
    Refused(String),
}

/// How to find out.
#[derive(Debug)]
pub(super) struct Check {
    command: Option<String>,
    lenient: bool,
}

impl Check {
    /// A server is what it was said to be.
    pub(super) fn none() -> Self {
        Self { command: None, lenient: true }
    }

    /// A server that refuses to tell is refused.
    pub(super) fn strict(command: Option<String>) -> Self {
        Self { command, lenient: false }
    }

    /// A server that refuses to tell is what others said.
    pub(super) fn lenient(command: Option<String>) -> Self {
        Self { command, lenient: true }
    }

    /// Whether there is anything to ask.
    pub(super) fn asks(&self) -> bool {
        self.command.is_some()
    }

    pub(super) async fn ask(&self, conn: &mut impl ConnectionLike) -> Role {
        let Some(command) = &self.command else { return Role::Primary };
        match redis::cmd(command).query_async::<Value>(conn).await {
            Ok(answer) => read(&answer),
            Err(error) => match error.kind() {
                ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm)
                    if self.lenient =>
                {
                    Role::Primary
                }
                ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::NoPerm) => {
                    Role::Refused(error.to_string())
                }
                _ => Role::Silent,
            },
        }
    }
}

fn read(answer: &Value) -> Role {
    let Value::Array(parts) = answer else { return Role::Silent };
    let role = match parts.first() {
        Some(Value::BulkString(role)) => role.as_slice(),
        Some(Value::SimpleString(role)) => role.as_bytes(),
        _ => return Role::Silent,
    };
    if role == b"master" { Role::Primary } else { Role::Replica }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_master_is_primary() {
        let answer = |role: &str| Value::Array(vec![Value::BulkString(role.into()), Value::Int(0)]);
        assert_eq!(read(&answer("master")), Role::Primary);
        assert_eq!(read(&answer("slave")), Role::Replica);
        assert_eq!(read(&answer("sentinel")), Role::Replica);
        assert_eq!(read(&Value::Nil), Role::Silent);
    }
}
