//! What can go wrong with a backplane.

use std::borrow::Cow;

/// A backplane could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("backplane: {text}")]
pub struct BackplaneError {
    kind: BackplaneErrorKind,
    text: Cow<'static, str>,
}

/// Which kind of failure it is; decide by this, not by the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackplaneErrorKind {
    /// There is no connection to it now; it is being re-established. Try again later.
    Unavailable,
    /// No answer in time; whether the request had an effect is not known.
    TimedOut,
    /// The server refused: rights, wrong password, a disabled command. Will not go away by itself.
    Refused,
    /// The hub has left, or the server is stopping.
    Left,
    /// Wrong configuration.
    Config,
    /// A request cannot be expressed on the wire: a name or a message that is too large.
    Invalid,
}

impl BackplaneError {
    /// An error of this kind; the text says what to do next and holds no secrets.
    pub fn new(kind: BackplaneErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Which kind.
    pub fn kind(&self) -> BackplaneErrorKind {
        self.kind
    }

    /// Whether trying the same again later can help.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, BackplaneErrorKind::Unavailable | BackplaneErrorKind::TimedOut)
    }
}
