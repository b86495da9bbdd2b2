//! No input panics or allocates beyond its own size, and whatever is written is read back.

use bytes::Bytes;
use proptest::prelude::*;
use signalr_backplane_redis::fuzzing;
use signalr_backplane_redis::wire::{
    AckMessage, Channels, Codec, CompletionMessage, FleetMessage, GroupCommandMessage, Invocation, WireError,
};

const CHANNELS: [&[u8]; 6] = [
    b"H:all",
    b"H:internal:groups",
    b"H:internal:ack:n",
    b"H:internal:return:n",
    b"H:internal:fleet:k",
    b"H:connection:c",
];

const RECEIVED: [&str; 10] = [
    "*3\r\n",
    "$7\r\nmessage\r\n",
    "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\n\r\n\r\n",
    "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n",
    "-ERR no\r\n",
    "$1\r\na\r\n",
    ":1\r\n",
    "$-1\r\n",
    "\r",
];

fn invocation() -> impl Strategy<Value = Invocation> {
    let texts = prop::collection::vec(".{0,40}", 0..40);
    let payloads = prop::collection::vec((".{0,12}", prop::collection::vec(any::<u8>(), 0..400)), 0..4);
    let asks = prop::option::of((".{0,30}", ".{0,60}"));
    (texts, payloads, asks, prop::option::of(".{0,50}")).prop_map(|(excluded, payloads, asks, origin)| {
        let mut message = Invocation::default();
        message.excluded = excluded;
        message.payloads = payloads.into_iter().map(|(name, bytes)| (name, Bytes::from(bytes))).collect();
        (message.invocation_id, message.return_channel) = asks.unzip();
        message.origin = origin;
        message
    })
}

proptest! {
    #[test]
    fn invocations_are_read_back(message in invocation()) {
        prop_assert_eq!(Invocation::read(&message.write().into()), Ok(message));
    }

    #[test]
    fn commands_are_read_back(id: i32, action: u8, names in [".{0,300}", ".{0,40}", ".{0,40}"]) {
        let [server, group, connection] = names;
        let command = GroupCommandMessage { id, server, action, group, connection };
        prop_assert_eq!(GroupCommandMessage::read(&command.write().into()), Ok(command));
        let ack = AckMessage { id };
        prop_assert_eq!(AckMessage::read(&ack.write().into()), Ok(ack));
    }

    #[test]
    fn blobs_are_read_back(protocol in ".{0,40}", body in prop::collection::vec(any::<u8>(), 0..70_000), version: u32) {
        let message = Bytes::from(body);
        let completion = CompletionMessage { protocol, message: message.clone() };
        prop_assert_eq!(CompletionMessage::read(&completion.write().into()), Ok(completion));
        let fleet = FleetMessage { version, body: message };
        prop_assert_eq!(FleetMessage::read(&fleet.write().into()), Ok(fleet));
    }

    #[test]
    fn a_message_that_is_cut_is_an_error(message in invocation(), cut in any::<prop::sample::Index>()) {
        let bytes = Bytes::from(message.write());
        let cut = bytes.slice(..cut.index(bytes.len()));
        prop_assert_eq!(Invocation::read(&cut), Err(WireError::Truncated));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), channel in 0..CHANNELS.len()) {
        let codec = Codec::new(Channels::new("", "H"));
        let bytes = Bytes::from(bytes);
        if let Ok((topic, message)) = codec.decode(CHANNELS[channel], &bytes) {
            let (name, _) = codec.encode(&topic, &message).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(name.as_bytes(), CHANNELS[channel]);
        }
    }
}

#[test]
fn giant_lengths_cost_nothing() {
    // Arrays, maps, strings and blobs that claim 4 GB.
    for bytes in [
        &b"\x92\xdd\xff\xff\xff\xff\xa1a"[..],
        b"\x92\x90\xdf\xff\xff\xff\xff\xa1a\xc4\x01x",
        b"\x92\x90\x81\xdb\xff\xff\xff\xffa",
        b"\x92\x90\x81\xa1a\xc6\xff\xff\xff\xffa",
    ] {
        assert_eq!(Invocation::read(&Bytes::from_static(bytes)), Err(WireError::Truncated));
    }
}

proptest! {
    #[test]
    fn replies_end_where_they_end(bytes in prop::collection::vec(prop::sample::select(b"$*:+-%>|_12\r\nx".to_vec()), 0..60)) {
        fuzzing::redis_replies(&bytes);
    }

    #[test]
    fn what_is_received_is_the_same_in_pieces(words in prop::collection::vec(prop::sample::select(RECEIVED.to_vec()), 0..24)) {
        fuzzing::redis_replies(words.concat().as_bytes());
    }

    #[test]
    fn messages_are_read_back_whatever_they_are(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzzing::redis_messages(&bytes);
    }
}
