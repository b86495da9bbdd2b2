//! Why bytes from Redis cannot be read, or a message cannot be written.

/// A message that cannot be used. It is to be dropped, logged and counted; the connection to Redis is sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// An array is shorter than its kind requires. The text is the reference's.
    #[error("Insufficient items in {0} array.")]
    TooFewItems(&'static str),
    /// The bytes end before the message does.
    #[error("the message ends too early")]
    Truncated,
    /// A value is of another type than the format has at this place.
    #[error("expected {expected}, found MessagePack code {found:#04x}")]
    WrongType {
        /// What belongs there.
        expected: &'static str,
        /// The first byte of what is there.
        found: u8,
    },
    /// A number is out of the range of its field.
    #[error("a number is out of range")]
    OutOfRange,
    /// A name is not UTF-8.
    #[error("a name is not UTF-8")]
    NotUtf8,
    /// A channel is none of this hub's.
    #[error("the channel does not belong to this hub")]
    ForeignChannel,
    /// An answer is in a protocol that this build does not know: the servers of the fleet offer different ones.
    #[error("the protocol of a client result is not known here; offer the same protocols on all servers")]
    UnknownProtocol,
    /// The message does not belong on this topic: a mistake of the caller, not of the peer.
    #[error("a message of this kind is not sent to this topic")]
    WrongTopic,
}
