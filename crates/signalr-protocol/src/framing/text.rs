//! Text framing: every message is followed by one record separator, 0x1E (B-3.1, B-4).
//!
//! Owns the search for the separator only. The input is what a transport received; bodies go to `json` or
//! `handshake`.

/// The record separator that ends every text message.
pub(crate) const RECORD_SEPARATOR: u8 = 0x1e;

/// The body of the first complete record and how many bytes it takes with its separator.
pub(crate) fn split(input: &[u8]) -> Option<(&[u8], usize)> {
    let end = memchr::memchr(RECORD_SEPARATOR, input)?;
    Some((&input[..end], end + 1))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_record_ends_at_its_separator() {
        assert_eq!(split(b"{}\x1e{"), Some((&b"{}"[..], 3)));
        assert_eq!(split(b"\x1e"), Some((&b""[..], 1)));
        assert_eq!(split(b"{}"), None);
        assert_eq!(split(b""), None);
    }
}
