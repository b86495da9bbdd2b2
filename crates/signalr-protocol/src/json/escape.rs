//! Text into JSON strings, with the escapes that the reference's relaxed encoder uses (B-1.5, B-16).
//!
//! Owns which characters are escaped. Unassigned code points, which the reference escapes as well, are written raw:
//! that needs a table of Unicode's state at the reference's build, and every client reads both.

/// Appends a quoted string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_fragment(out, text);
    out.push(b'"');
}

/// Appends text with escapes, without quotes.
pub(crate) fn write_fragment(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    let mut written = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&b| is_suspect(b)) {
        at += found;
        // Suspect bytes are ASCII or the first of a character, so this is a boundary.
        let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else { break };
        let next = at + character.len_utf8();
        if is_escaped(character) {
            out.extend_from_slice(&bytes[written..at]);
            write_escape(out, character);
            written = next;
        }
        at = next;
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Whether every byte stands for itself. In blocks, which compile to vector instructions.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    let plain = |byte: u8| (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\');
    bytes.chunks(32).all(|block| block.iter().fold(true, |all, &byte| all & plain(byte)))
}

/// Appends one character as an escape.
pub(super) fn write_escape(out: &mut Vec<u8>, character: char) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                write_unit(out, *unit);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_unit(out: &mut Vec<u8>, unit: u16) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |shift: u16| DIGITS[usize::from(unit >> shift & 0xf)];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

/// Whether a character that begins with this byte may have to be escaped.
#[inline]
fn is_suspect(byte: u8) -> bool {
    SUSPECT[usize::from(byte)]
}

fn is_escaped(character: char) -> bool {
    match character {
        '"' | '\\' | '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        // Spaces and separators.
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' => true,
        '\u{202f}' | '\u{205f}' | '\u{3000}' => true,
        // Private use, the byte order mark, noncharacters, everything outside the basic plane.
        '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}'.. => true,
        _ => false,
    }
}

/// ASCII that is escaped, and the first bytes of the characters in `is_escaped`.
const SUSPECT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = byte < 0x20
            || matches!(byte as u8, b'"' | b'\\' | 0x7f | 0xc2 | 0xe1 | 0xe2 | 0xe3 | 0xee | 0xef | 0xf0..);
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ascii_and_letters_are_raw() {
        assert_eq!(written("<a> & 'b' + é日本"), "\"<a> & 'b' + é日本\"");
        assert_eq!(written("\u{ad}\u{200b}\u{2060}か"), "\"\u{ad}\u{200b}\u{2060}か\"");
    }

    #[test]
    fn the_rest_is_escaped_in_upper_case() {
        assert_eq!(written("\"\\\n\r\t\u{8}\u{c}"), r#""\"\\\n\r\t\b\f""#);
        assert_eq!(written("\u{1e}\u{7f}\u{85}\u{a0}"), r#""\u001E\u007F\u0085\u00A0""#);
        assert_eq!(written("\u{2028}\u{3000}\u{feff}\u{e000}"), r#""\u2028\u3000\uFEFF\uE000""#);
        assert_eq!(written("a😀b"), r#""a\uD83D\uDE00b""#);
    }

    #[test]
    fn the_table_covers_every_escaped_character() {
        for character in (0..=0x10ffff).filter_map(char::from_u32).filter(|&c| is_escaped(c)) {
            assert!(is_suspect(character.to_string().as_bytes()[0]), "{character:?}");
        }
    }
}
