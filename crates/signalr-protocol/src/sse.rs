//! Server-Sent Events: chunks of text as events (B-2.5, B-16).
//!
//! Owns the bytes of the body only; headers, flushing and the connection belong to the transport.

/// The first bytes of every stream: a comment, so that browsers report the stream as open.
pub const STREAM_START: &[u8] = b":\r\n";

/// Appends one event that carries `chunk`: one `data:` line per line of it, then an empty line. A line ends at LF, of
/// which a CR just before is a part unless the line is nothing else. An empty chunk gives the empty line only.
pub fn write_event(out: &mut Vec<u8>, chunk: &[u8]) {
    if !chunk.is_empty() {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = &rest[..end];
            write_line(out, line.strip_suffix(b"\r").filter(|l| !l.is_empty()).unwrap_or(line));
            rest = &rest[end + 1..];
        }
        write_line(out, rest);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_line(out: &mut Vec<u8>, line: &[u8]) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(line);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_is_a_data_line() {
        let mut out = Vec::new();
        super::write_event(&mut out, b"a\r\n\nb");
        super::write_event(&mut out, b"");
        assert_eq!(out, b"data: a\r\ndata: \r\ndata: b\r\n\r\n\r\n");
    }
}
