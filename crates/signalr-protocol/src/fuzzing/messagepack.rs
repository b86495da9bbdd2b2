//! What must hold for any bytes that are taken for MessagePack.
//!
//! Owns the bodies of the fuzz targets `msgpack_parse`, `msgpack_arguments`, `binary_split` and `lz4_decode`. Each
//! takes bytes from a fuzzer or from proptest and panics when a promise of the crate is broken.

use crate::error::BindError;
use crate::message::Message;
use crate::msgpack::{ArgumentReader, check_value, decode_value, parse, split, write_message};
use crate::style::PayloadStyle;
use crate::values::{Binary, OffsetDate, Timestamp};
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::{BTreeMap, HashMap};

/// A message that was read and can be written is read again as the same.
///
/// # Panics
/// The promise is broken.
pub fn msgpack_parse(body: &[u8]) {
    let Ok(message) = parse(body) else { return };
    if !comes_back(&message) {
        return;
    }
    let mut written = Vec::new();
    write_message(&mut written, &message);
    let frame = split(&written);
    assert_eq!(frame.as_ref().map(|frame| frame.map(|(_, used)| used)), Ok(Some(written.len())));
    assert_eq!(frame.map(|frame| frame.map(|(again, _)| parse(again))), Ok(Some(Ok(message))));
}

/// Whether writing keeps everything: what is damaged, unknown or empty on the wire is not rewritten as it was.
fn comes_back(message: &Message<'_>) -> bool {
    match message {
        Message::Invocation(call) | Message::StreamInvocation(call) => {
            call.deferred.is_none()
                && call.arguments.fault().is_none()
                && check_value(call.arguments.bytes()).is_ok()
        }
        Message::StreamItem { item, .. } => item.check().is_ok(),
        Message::Completion { result: Some(result), .. } => result.check().is_ok(),
        Message::Close { error, .. } => error.as_deref() != Some(""),
        Message::Unknown { .. } => false,
        _ => true,
    }
}

/// Values of many types are read from any bytes, or refused; what one type reads, stepping over accepts too.
///
/// # Panics
/// The promise is broken.
pub fn msgpack_arguments(array: &[u8]) {
    let as_values = arguments::<serde_json::Value>(array);
    if as_values.is_ok() {
        assert_eq!(arguments::<IgnoredAny>(array).err(), None);
    }
    let _ = arguments::<String>(array);
    let _ = arguments::<Option<f64>>(array);
    let _ = arguments::<(i8, u64, char)>(array);
    let _ = arguments::<Vec<Binary>>(array);
    let _ = arguments::<HashMap<String, Vec<Timestamp>>>(array);
    let _ = arguments::<BTreeMap<u32, Option<OffsetDate>>>(array);
    let _ = decode_value::<Tree>(array, PayloadStyle::SERDE, "argument");
}

fn arguments<T: DeserializeOwned>(array: &[u8]) -> Result<(), BindError> {
    for count in 0..4 {
        let Ok(mut reader) = ArgumentReader::new(array, PayloadStyle::SERDE, count) else { continue };
        for _ in 0..count {
            reader.next::<T>()?;
        }
        return reader.finish();
    }
    Err(BindError::count(4, 0))
}

/// A type that nests as deep as its bytes say, with a wrapper that takes no bytes.
#[derive(serde::Deserialize)]
enum Tree {
    Leaf,
    #[expect(dead_code, reason = "only read")]
    Node(Vec<Tree>),
    #[expect(dead_code, reason = "only read")]
    Wrapped(Option<Box<Tree>>),
}

/// Frames are the same whether bytes come at once or one by one.
///
/// # Panics
/// The promise is broken.
pub fn binary_split(stream: &[u8]) {
    let mut at_once = Vec::new();
    let mut rest = stream;
    let ended = loop {
        match split(rest) {
            Ok(Some((body, used))) => {
                assert!(used > body.len() && used <= rest.len());
                at_once.push(body);
                rest = &rest[used..];
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    let mut start = 0;
    let mut frames = at_once.iter();
    for end in 0..=stream.len() {
        match split(&stream[start..end]) {
            Ok(None) => {}
            Ok(Some((body, used))) => {
                assert_eq!((Some(&body), used), (frames.next(), end - start));
                start = end;
            }
            Err(error) => {
                assert_eq!(Some(error), ended);
                break;
            }
        }
    }
    assert_eq!(frames.next(), None);
}

/// Compressed values are expanded within their bounds, or refused; what was expanded can be compressed again.
///
/// # Panics
/// The promise is broken.
#[cfg(feature = "lz4")]
pub fn lz4_decode(value: &[u8]) {
    use crate::msgpack::lz4;
    use crate::protocol::Compression;
    let Some(Ok(plain)) = lz4::expand_if_compressed(value) else { return };
    assert!(plain.len() <= value.len() * 255);
    for form in [Compression::Lz4BlockArray, Compression::Lz4Block] {
        if let Some(compressed) = lz4::compress(&plain, form) {
            assert_eq!(lz4::expand_if_compressed(&compressed), Some(Ok(plain.clone())));
        }
    }
    let _ = decode_value::<serde_json::Value>(value, PayloadStyle::SERDE, "argument");
}
