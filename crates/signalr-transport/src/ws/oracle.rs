//! The decoder against tungstenite: the same messages and the same end for the same bytes, case by case and at random.

use super::close::CloseCode;
use super::transcript::{Ending, Said, Transcript, decode};
use proptest::prelude::*;
use std::io::{self, Read, Write};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

const LIMIT: usize = 1 << 20;

/// Bytes from a client; what is written to it is thrown away.
struct Client<'a>(&'a [u8]);

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite makes of the stream.
fn oracle(stream: &[u8]) -> Transcript {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let mut socket = WebSocket::from_raw_socket(Client(stream), Role::Server, Some(config));
    let mut said = Vec::new();
    let ending = loop {
        match socket.read() {
            Ok(Message::Text(text)) => said.push(Said::Message(text.as_bytes().to_vec())),
            Ok(Message::Binary(bytes)) => said.push(Said::Message(bytes.to_vec())),
            Ok(Message::Ping(payload)) => said.push(Said::Ping(payload.to_vec())),
            Ok(Message::Pong(_)) => said.push(Said::Pong),
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                break Ending::Failed(CloseCode::PROTOCOL_ERROR);
            }
            Ok(Message::Close(frame)) => {
                break Ending::Closed(frame.map(|frame| CloseCode::for_tests(frame.code.into())));
            }
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Utf8(_)) => break Ending::Failed(CloseCode::INVALID_DATA),
            Err(Error::Capacity(_)) => break Ending::Failed(CloseCode::TOO_BIG),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                break Ending::Open;
            }
            Err(Error::Protocol(_)) => break Ending::Failed(CloseCode::PROTOCOL_ERROR),
            Err(other) => panic!("{other}"),
        }
    };
    Transcript { said, ending }
}

fn ours(stream: &[u8], sizes: &[usize]) -> Transcript {
    decode(stream, sizes, Some(LIMIT as u64))
}

/// A client's frame.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xFFFF => {
            out.push(0x80 | 126);
            out.extend((middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [0x5A, 0xC3, 0x17, 0x99];
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]));
    out
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn case_by_case() {
    let failed = |code| Ending::Failed(code);
    let (protocol, utf8, big) = (CloseCode::PROTOCOL_ERROR, CloseCode::INVALID_DATA, CloseCode::TOO_BIG);
    let euro = "€".as_bytes();
    let cases: Vec<(&str, Vec<Vec<u8>>, Ending)> = vec![
        ("text", vec![frame(0x81, b"hello")], Ending::Open),
        ("empty text", vec![frame(0x81, b"")], Ending::Open),
        ("binary of 70,000", vec![frame(0x82, &vec![7; 70_000])], Ending::Open),
        ("fragments", vec![frame(0x01, b"a"), frame(0x00, b"b"), frame(0x80, b"c")], Ending::Open),
        ("empty fragments", vec![frame(0x02, b""), frame(0x00, b""), frame(0x80, b"")], Ending::Open),
        (
            "ping between fragments",
            vec![frame(0x01, b"a"), frame(0x89, b"p"), frame(0x80, b"b")],
            Ending::Open,
        ),
        ("pong unasked", vec![frame(0x8A, b"x"), frame(0x81, b"y")], Ending::Open),
        ("a cut character", vec![frame(0x01, &euro[..1]), frame(0x80, &euro[1..])], Ending::Open),
        (
            "text after close",
            vec![close(1000, b""), frame(0x81, b"x")],
            Ending::Closed(Some(CloseCode::NORMAL)),
        ),
        ("close without code", vec![frame(0x88, b"")], Ending::Closed(None)),
        ("close amid a message", vec![frame(0x01, b"a"), frame(0x88, b"")], Ending::Closed(None)),
        ("close with one byte", vec![frame(0x88, b"x")], failed(protocol)),
        ("close with 1005", vec![close(1005, b"")], failed(protocol)),
        ("close with 999", vec![close(999, b"")], failed(protocol)),
        ("close with 2000", vec![close(2000, b"")], failed(protocol)),
        ("close with a bad reason", vec![close(1000, b"\xFF")], failed(utf8)),
        ("reserved bit 1", vec![frame(0xC1, b"x")], failed(protocol)),
        ("reserved bit 3", vec![frame(0x91, b"x")], failed(protocol)),
        ("reserved opcode 3", vec![frame(0x83, b"x")], failed(protocol)),
        ("reserved opcode 11", vec![frame(0x8B, b"x")], failed(protocol)),
        ("unmasked", vec![vec![0x81, 1, b'x']], failed(protocol)),
        ("fragmented ping", vec![frame(0x09, b"x")], failed(protocol)),
        ("long ping", vec![frame(0x89, &[0; 126])], failed(protocol)),
        ("continuation of nothing", vec![frame(0x80, b"x")], failed(protocol)),
        ("text within text", vec![frame(0x01, b"x"), frame(0x81, b"y")], failed(protocol)),
        ("bad UTF-8", vec![frame(0x81, b"a\xFFb")], failed(utf8)),
        ("a surrogate", vec![frame(0x81, b"\xED\xA0\x80")], failed(utf8)),
        ("text ends inside a character", vec![frame(0x81, &euro[..2])], failed(utf8)),
        ("bad UTF-8 over fragments", vec![frame(0x01, &euro[..1]), frame(0x80, b"x")], failed(utf8)),
        ("bad UTF-8 in binary", vec![frame(0x82, b"\xFF")], Ending::Open),
        ("too long", vec![frame(0x82, &vec![0; LIMIT + 1])], failed(big)),
        ("too long together", vec![frame(0x02, &vec![0; LIMIT]), frame(0x80, b"x")], failed(big)),
        ("exactly the limit", vec![frame(0x82, &vec![0; LIMIT])], Ending::Open),
    ];
    for (name, frames, ending) in cases {
        let stream = frames.concat();
        let expected = oracle(&stream);
        assert_eq!(expected.ending, ending, "{name}: tungstenite");
        assert_eq!(ours(&stream, &[]), expected, "{name}");
        assert_eq!(ours(&stream, &[4096, 1, 3]), expected, "{name}, in pieces");
    }
}

#[test]
fn a_length_with_its_first_bit_set_is_refused() {
    let stream = [0x82, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4];
    for sizes in [&[][..], &[1]] {
        assert_eq!(decode(&stream, sizes, None).ending, Ending::Failed(CloseCode::PROTOCOL_ERROR));
    }
}

/// Any client that keeps the rules.
fn valid_stream() -> impl Strategy<Value = Vec<u8>> {
    let control = (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..126))
        .prop_map(|(ping, payload)| frame(if ping { 0x89 } else { 0x8A }, &payload));
    let text = ("\\PC{0,200}", proptest::collection::vec(0usize..400, 0..4))
        .prop_map(|(text, cuts)| message(0x01, text.as_bytes(), cuts));
    let binary =
        (proptest::collection::vec(any::<u8>(), 0..9_000), proptest::collection::vec(0usize..9_000, 0..4))
            .prop_map(|(bytes, cuts)| message(0x02, &bytes, cuts));
    let end = prop_oneof![
        3 => Just(Vec::new()),
        1 => (prop_oneof![Just(1000u16), Just(1001), 3000..5000u16], "\\PC{0,30}")
            .prop_map(|(code, reason)| close(code, reason.as_bytes())),
    ];
    let pieces = prop_oneof![2 => control.prop_map(|frame| vec![frame]), 4 => text, 1 => binary];
    (proptest::collection::vec(pieces, 0..6), end).prop_map(|(pieces, end)| {
        let mut stream = pieces.concat().concat();
        stream.extend(end);
        stream
    })
}

/// A message in fragments, with a ping after each but the last.
fn message(opcode: u8, payload: &[u8], mut cuts: Vec<usize>) -> Vec<Vec<u8>> {
    cuts.retain(|cut| *cut < payload.len());
    cuts.sort_unstable();
    let mut frames = Vec::new();
    let mut start = 0;
    for cut in cuts {
        frames.push(frame(if start == 0 && frames.is_empty() { opcode } else { 0 }, &payload[start..cut]));
        frames.push(frame(0x89, b"between"));
        start = cut;
    }
    frames.push(frame(0x80 | if frames.is_empty() { opcode } else { 0 }, &payload[start..]));
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn valid_streams_mean_the_same(
        stream in valid_stream(),
        sizes in proptest::collection::vec(1usize..5000, 0..5),
    ) {
        let expected = oracle(&stream);
        prop_assert!(!matches!(expected.ending, Ending::Failed(_)));
        prop_assert_eq!(ours(&stream, &sizes), expected);
    }

    #[test]
    fn damaged_streams_end_the_same(
        stream in valid_stream(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), 1u8..=255), 1..4),
        sizes in proptest::collection::vec(1usize..5000, 0..5),
    ) {
        prop_assume!(!stream.is_empty());
        let mut stream = stream;
        for (place, bits) in damage {
            let place = place.index(stream.len().min(300));
            stream[place] ^= bits;
        }
        let expected = oracle(&stream);
        let got = ours(&stream, &sizes);
        prop_assert_eq!(&got, &ours(&stream, &[]), "the size of reads");
        match (&got.ending, &expected.ending) {
            // We need not wait for the end of a frame to see that it is wrong, and look at the head's first two bytes
            // before its length.
            (Ending::Failed(_), Ending::Open)
            | (Ending::Failed(CloseCode::PROTOCOL_ERROR), Ending::Failed(CloseCode::TOO_BIG)) => {
                prop_assert!(got.said.len() >= expected.said.len());
            }
            // A Close may have both a code and a reason that are wrong; we name the first fault.
            (Ending::Failed(CloseCode::PROTOCOL_ERROR), Ending::Failed(CloseCode::INVALID_DATA)) => {
                prop_assert_eq!(&got.said, &expected.said);
            }
            _ => prop_assert_eq!(&got, &expected),
        }
    }

    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        crate::fuzzing::websocket_decode(&data);
    }
}
