//! Bodies of the fuzz targets in `fuzz/`, called by property tests too. Not for users: anything here may change.

use crate::listener::read_all;
use crate::resp::{REPLIES, reply};
use crate::wire::{
    AckMessage, Channels, Codec, CompletionMessage, FleetMessage, GroupCommandMessage, Invocation,
};
use bytes::Bytes;

/// What other servers publish: whatever is read is written and read again as the same.
///
/// # Panics
/// It was not.
pub fn redis_messages(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(read) = Invocation::read(&bytes) {
        assert_eq!(Invocation::read(&read.write().into()), Ok(read));
    }
    if let Ok(read) = GroupCommandMessage::read(&bytes) {
        assert_eq!(GroupCommandMessage::read(&read.write().into()), Ok(read));
    }
    if let Ok(read) = AckMessage::read(&bytes) {
        assert_eq!(AckMessage::read(&read.write().into()), Ok(read));
    }
    if let Ok(read) = CompletionMessage::read(&bytes) {
        assert_eq!(CompletionMessage::read(&read.write().into()), Ok(read));
    }
    if let Ok(read) = FleetMessage::read(&bytes) {
        assert_eq!(FleetMessage::read(&read.write().into()), Ok(read));
    }
    let codec = Codec::new(Channels::new("", "H"));
    for channel in ["H:all", "H:internal:groups", "H:internal:return:n", "H:internal:fleet:k"] {
        // An answer may be of a protocol that this build does not know, and much else: any error will do.
        let _ = codec.decode(channel.as_bytes(), &bytes);
    }
}

/// What Redis answers: a reply is found where it ends, and not before all of it has come. What it sends to a connection that
/// receives without RESP3 is the same however it is cut.
///
/// # Panics
/// It was not.
pub fn redis_replies(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((_, length))) = reply(rest, REPLIES) {
        assert!((1..=rest.len()).contains(&length), "a reply of {length} of {} bytes", rest.len());
        assert!(!matches!(reply(&rest[..length - 1], REPLIES), Ok(Some(_))), "a reply without its end");
        rest = &rest[length..];
    }
    let halves = bytes.split_at(bytes.len() / 2);
    assert_eq!(read_all(&[bytes]), read_all(&[halves.0, halves.1]), "read differently in two pieces");
}
