//! Redis' protocol (RESP2 and RESP3), as far as it is spoken by hand.
//!
//! Owns the bytes of `PUBLISH`, of which there may be millions per second, and finding the ends of what a server sends. What
//! that says is read by the `redis` crate; only numbers, the usual replies, are read here. Pure; nothing is allocated by what
//! a peer says before it has sent it.

use redis::Value;

/// How much may come at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    bytes: usize,
    /// Values, however they are nested.
    parts: usize,
}

/// For replies: a table of the owners of all slots is far smaller.
pub(crate) const REPLIES: Limits = Limits { bytes: 16 << 20, parts: 1 << 20 };
/// For messages on a connection that receives: what Redis itself takes by default, and the words around it.
pub(crate) const MESSAGES: Limits = Limits { bytes: (512 << 20) + (1 << 20), parts: 16 };
/// A line may be this long; what may be longer has its size written before it.
const LINE: usize = 64 << 10;

/// The part of a `PUBLISH` that is the same for every message.
#[derive(Debug, Clone)]
pub(crate) struct Publish(Vec<u8>);

/// Bytes that are no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Publish {
    /// `name` is what the command is called on this server.
    pub(crate) fn new(name: &str) -> Self {
        let mut start = b"*3\r\n".to_vec();
        blob(&mut start, name.as_bytes());
        Self(start)
    }

    /// Writes one message.
    pub(crate) fn write(&self, out: &mut Vec<u8>, channel: &[u8], bytes: &[u8]) {
        out.reserve(self.0.len() + channel.len() + bytes.len() + 48);
        out.extend_from_slice(&self.0);
        blob(out, channel);
        blob(out, bytes);
    }

    /// How many bytes that is.
    pub(crate) fn length(&self, channel: &[u8], bytes: &[u8]) -> usize {
        self.0.len() + blob_length(channel.len()) + blob_length(bytes.len())
    }
}

fn blob(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    number(out, bytes.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn blob_length(length: usize) -> usize {
    let digits = length.checked_ilog10().map_or(1, |log| log as usize + 1);
    1 + digits + 2 + length + 2
}

fn number(out: &mut Vec<u8>, mut number: usize) {
    let (mut digits, mut start) = ([0; 20], 20);
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            out.extend_from_slice(&digits[start..]);
            return;
        }
    }
}

/// Takes a reply off the front of what was received, if it is there as a whole: its value and its length. A message that
/// is no reply, because the server sent it by itself, has no value.
pub(crate) fn reply(received: &[u8], limits: Limits) -> Result<Option<(Option<Value>, usize)>, Malformed> {
    if let Some((value, length)) = counted(received) {
        return Ok(Some((Some(Value::Int(value)), length)));
    }
    let Some(length) = length(received, limits)? else { return Ok(None) };
    let value = match received.first() {
        Some(b'>') => None,
        _ => Some(redis::parse_redis_value(&received[..length]).map_err(|_| Malformed)?),
    };
    Ok(Some((value, length)))
}

/// A number that is there as a whole, the quick way.
fn counted(received: &[u8]) -> Option<(i64, usize)> {
    let digits = received.strip_prefix(b":")?;
    let mut value = 0;
    for (place, &byte) in digits.iter().enumerate().take(18) {
        match byte {
            b'0'..=b'9' => value = value * 10 + i64::from(byte - b'0'),
            b'\r' if place > 0 && digits.get(place + 1) == Some(&b'\n') => return Some((value, place + 3)),
            _ => return None,
        }
    }
    None
}

/// The length of the value at the front, however it is nested; `None` when it is not there as a whole.
fn length(received: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
    let (mut at, mut due, mut seen) = (0, 1, 0);
    while due > 0 {
        let Some(line) = line(&received[at..])? else { return Ok(None) };
        let Some((&kind, rest)) = line.split_first() else { return Err(Malformed) };
        at += line.len() + 2;
        due -= 1;
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {}
            b'$' | b'=' | b'!' => {
                if let Some(size) = size(rest, limits.bytes)? {
                    at += size + 2;
                }
            }
            b'*' | b'~' | b'>' => due += size(rest, limits.parts)?.unwrap_or(0),
            b'%' => due += 2 * size(rest, limits.parts)?.unwrap_or(0),
            // What it is about follows.
            b'|' => due += 2 * size(rest, limits.parts)?.unwrap_or(0) + 1,
            _ => return Err(Malformed),
        }
        seen += 1;
        if at > limits.bytes || seen + due > limits.parts {
            return Err(Malformed);
        }
        if at > received.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

/// A line without its end.
fn line(received: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let start = &received[..received.len().min(LINE)];
    match start.windows(2).position(|pair| pair == b"\r\n") {
        Some(end) => Ok(Some(&start[..end])),
        None if start.len() < received.len() => Err(Malformed),
        None => Ok(None),
    }
}

/// A size; `None` when there is nothing, which is written as -1.
fn size(digits: &[u8], limit: usize) -> Result<Option<usize>, Malformed> {
    if digits == b"-1" {
        return Ok(None);
    }
    let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    size.filter(|size| *size <= limit).map(Some).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(received: &[u8]) -> (Option<Value>, usize) {
        reply(received, REPLIES).unwrap().unwrap()
    }

    #[test]
    fn a_publish_is_written_as_the_library_writes_it() {
        for size in [0, 9, 10, 99, 100, 12345] {
            let (channel, bytes) = ("c".repeat(size), vec![b'x'; size]);
            let mut out = Vec::new();
            Publish::new("PUBLISH").write(&mut out, channel.as_bytes(), &bytes);
            let theirs = redis::cmd("PUBLISH").arg(&channel).arg(&bytes).get_packed_command();
            assert_eq!(out, theirs);
            assert_eq!(Publish::new("PUBLISH").length(channel.as_bytes(), &bytes), theirs.len());
        }
    }

    #[test]
    fn replies_are_taken_one_by_one() {
        assert_eq!(whole(b":12\r\n:3\r\n"), (Some(Value::Int(12)), 5));
        assert_eq!(whole(b":-1\r\n"), (Some(Value::Int(-1)), 5));
        assert!(matches!(whole(b"-NOPERM no\r\n:1\r\n"), (Some(Value::ServerError(_)), 12)));
        let nested = b"*2\r\n*2\r\n$3\r\na\r\n\r\n:1\r\n%1\r\n+k\r\n$-1\r\n";
        assert_eq!(whole(nested).1, nested.len());
        assert_eq!(whole(b">2\r\n+a\r\n:1\r\n:5\r\n"), (None, 12), "nobody has asked for this");
        assert_eq!(whole(b"_\r\n"), (Some(Value::Nil), 3));
    }

    #[test]
    fn what_is_cut_off_is_waited_for() {
        let text: &[u8] = b"*3\r\n$5\r\nhello\r\n:1\r\n*1\r\n-ERR no\r\n";
        for end in 0..text.len() {
            assert_eq!(reply(&text[..end], REPLIES), Ok(None), "{end}");
        }
        assert_eq!(whole(text).1, text.len());
    }

    #[test]
    fn what_is_no_reply_is_an_error() {
        for text in
            ["\r\n", "x\r\n", "*-2\r\n", "$99999999999\r\n", "*1048577\r\n", "*x\r\n", ":1x\r\n", "$\r\n"]
        {
            assert_eq!(reply(text.as_bytes(), REPLIES), Err(Malformed), "{text:?}");
        }
        assert_eq!(reply(&b"*1\r\n".repeat(2 << 20), REPLIES), Err(Malformed), "nested without an end");
        assert_eq!(reply(&b"+x".repeat(LINE), REPLIES), Err(Malformed), "a line without an end");
        assert_eq!(reply(b"*17\r\n", MESSAGES), Err(Malformed));
        assert_eq!(reply(b"*3\r\n$999999999\r\n", MESSAGES), Err(Malformed));
    }
}
