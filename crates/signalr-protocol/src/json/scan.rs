//! JSON tokens in a byte slice: the one place that decides what is well-formed.
//!
//! Owns a cursor over borrowed bytes, strict grammar (RFC 8259, no comments, no trailing commas) and a skip that is
//! iterative and bounded in depth. It knows neither hub messages nor serde: `parse`, `de`, `handshake` and
//! `negotiate` are its callers. Nothing here allocates except [`RawString::to_str`] for strings with escapes.

use std::borrow::Cow;

/// How many containers may be open at once, the outermost counted (B-16 on 4.2).
pub(crate) const MAX_DEPTH: u32 = 64;

/// The bytes are not JSON, or nest too deeply. Where and why is not told: the reference does not tell either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What kind of value begins at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

impl Token {
    /// The name of the kind as the reference says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Token::Object => "Object",
            Token::Array => "Array",
            Token::String => "String",
            Token::Number => "Number",
            Token::True => "True",
            Token::False => "False",
            Token::Null => "Null",
        }
    }

    /// The name of the reader's token, which differs for containers.
    pub(crate) const fn reader_name(self) -> &'static str {
        match self {
            Token::Object => "StartObject",
            Token::Array => "StartArray",
            other => other.name(),
        }
    }
}

/// A cursor over JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    input: &'a [u8],
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(input: &'a [u8]) -> Self {
        Self { input, position: 0 }
    }

    /// The byte at the cursor, if any.
    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.input.get(self.position).copied()
    }

    /// Steps over one byte that `peek` has shown.
    #[inline]
    pub(crate) fn bump(&mut self) {
        self.position += 1;
    }

    #[inline]
    pub(crate) fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.position += 1;
        }
    }

    /// Steps back over the white space before the cursor.
    pub(crate) fn unskip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') =
            self.position.checked_sub(1).and_then(|before| self.input.get(before))
        {
            self.position -= 1;
        }
    }

    /// Takes a given text; false, without a step, when something else is there.
    #[inline]
    pub(crate) fn take(&mut self, text: &[u8]) -> bool {
        let found = self.input.get(self.position..).is_some_and(|rest| rest.starts_with(text));
        if found {
            self.position += text.len();
        }
        found
    }

    /// Takes one given byte.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.position += 1;
        Ok(())
    }

    /// The kind of the value at the cursor, which is not moved. The value itself may still be malformed.
    #[inline]
    pub(crate) fn token(&self) -> Result<Token, Malformed> {
        Ok(match self.peek().ok_or(Malformed)? {
            b'{' => Token::Object,
            b'[' => Token::Array,
            b'"' => Token::String,
            b't' => Token::True,
            b'f' => Token::False,
            b'n' => Token::Null,
            b'-' | b'0'..=b'9' => Token::Number,
            _ => return Err(Malformed),
        })
    }

    /// Steps to the next member of an object whose `{` has been taken: its name, with the cursor at its value; or
    /// `None` when the object has ended. `first` starts as true and is kept by the caller.
    #[inline]
    pub(crate) fn next_member(&mut self, first: &mut bool) -> Result<Option<RawString<'a>>, Malformed> {
        self.skip_white_space();
        if std::mem::take(first) {
            if self.peek() == Some(b'}') {
                self.position += 1;
                return Ok(None);
            }
        } else {
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(None);
                }
                _ => return Err(Malformed),
            }
            self.skip_white_space();
        }
        self.member_name().map(Some)
    }

    #[inline]
    fn member_name(&mut self) -> Result<RawString<'a>, Malformed> {
        let name = self.string()?;
        self.skip_white_space();
        self.expect(b':')?;
        self.skip_white_space();
        Ok(name)
    }

    /// Steps to the next item of an array whose `[` has been taken; false when the array has ended.
    #[inline]
    pub(crate) fn next_item(&mut self, first: &mut bool) -> Result<bool, Malformed> {
        self.skip_white_space();
        let was_first = std::mem::take(first);
        match self.peek() {
            Some(b']') => {
                self.position += 1;
                Ok(false)
            }
            Some(b',') if !was_first => {
                self.position += 1;
                self.skip_white_space();
                // A closing bracket here would be a trailing comma.
                if self.peek() == Some(b']') { Err(Malformed) } else { Ok(true) }
            }
            Some(_) if was_first => Ok(true),
            _ => Err(Malformed),
        }
    }

    /// Takes a string; the cursor is at its opening quote. Escapes are checked, UTF-8 and surrogates are not.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawString<'a>, Malformed> {
        self.expect(b'"')?;
        let start = self.position;
        let mut escaped = false;
        loop {
            self.position = find_special(self.input, self.position).ok_or(Malformed)?;
            match self.input[self.position] {
                b'"' => {
                    let bytes = &self.input[start..self.position];
                    self.position += 1;
                    return Ok(RawString { bytes, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.position += escape_length(&self.input[self.position..])?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// Takes a number and gives its text.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.peek() {
            Some(b'0') => self.position += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Malformed),
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.position += 1;
            }
            self.digits()?;
        }
        Ok(&self.input[start..self.position])
    }

    #[inline]
    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.peek() {
            self.position += 1;
        }
        if self.position == start { Err(Malformed) } else { Ok(()) }
    }

    /// Takes `true`, `false` or `null`.
    pub(crate) fn literal(&mut self, text: &[u8]) -> Result<(), Malformed> {
        if !self.input[self.position..].starts_with(text) {
            return Err(Malformed);
        }
        self.position += text.len();
        Ok(())
    }

    /// Takes one value and gives its text together with the white space before it. `open` as in `skip_value`.
    pub(crate) fn skip_value_with_white_space(&mut self, open: u32) -> Result<&'a [u8], Malformed> {
        let mut before = self.clone();
        before.unskip_white_space();
        self.skip_value(open)?;
        Ok(&self.input[before.position..self.position])
    }

    /// Takes one value of any kind and gives its text. `open` is how many containers are open around it.
    pub(crate) fn skip_value(&mut self, open: u32) -> Result<&'a [u8], Malformed> {
        let start = self.position;
        // One bit per container that this call has opened, the innermost lowest: set means object.
        let mut kinds: u64 = 0;
        let mut depth = open;
        loop {
            let opened = match self.token()? {
                Token::String => self.string().map(|_| false)?,
                Token::Number => self.number().map(|_| false)?,
                Token::True => self.literal(b"true").map(|()| false)?,
                Token::False => self.literal(b"false").map(|()| false)?,
                Token::Null => self.literal(b"null").map(|()| false)?,
                container => {
                    if depth >= MAX_DEPTH {
                        return Err(Malformed);
                    }
                    depth += 1;
                    kinds = kinds << 1 | u64::from(container == Token::Object);
                    self.position += 1;
                    true
                }
            };
            if !self.step_to_next_value(opened, open, &mut depth, &mut kinds)? {
                return Ok(&self.input[start..self.position]);
            }
        }
    }

    /// Moves from the end of a value, or from just inside a new container, to the next value; false when the value
    /// that `skip_value` was asked for has ended.
    fn step_to_next_value(
        &mut self,
        mut first: bool,
        open: u32,
        depth: &mut u32,
        kinds: &mut u64,
    ) -> Result<bool, Malformed> {
        while *depth > open {
            let more = if *kinds & 1 == 1 {
                self.next_member(&mut first)?.is_some()
            } else {
                self.next_item(&mut first)?
            };
            if more {
                return Ok(true);
            }
            *kinds >>= 1;
            *depth -= 1;
        }
        Ok(false)
    }
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawString<'a> {
    bytes: &'a [u8],
    escaped: bool,
}

/// Why a well-formed JSON string is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFault {
    /// Its bytes are not UTF-8.
    Utf8,
    /// It has a high surrogate without a low one.
    MissingLowSurrogate,
    /// It has a surrogate where none may stand.
    Surrogate(u16),
}

impl<'a> RawString<'a> {
    /// The bytes between the quotes when they are the text itself, without escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.bytes)
    }

    /// The text, borrowed when there is no escape in it.
    #[inline]
    pub(crate) fn to_str(self) -> Result<Cow<'a, str>, TextFault> {
        let text = simdutf8::basic::from_utf8(self.bytes).map_err(|_| TextFault::Utf8)?;
        if self.escaped { unescape(text).map(Cow::Owned) } else { Ok(Cow::Borrowed(text)) }
    }
}

/// The index of the first quote, backslash or control character at or after `from`.
#[inline]
fn find_special(input: &[u8], from: usize) -> Option<usize> {
    let rest = input.get(from..)?;
    // Blocks without a hit are passed in a form that compiles to vector instructions.
    let (blocks, _) = rest.as_chunks::<32>();
    let quiet =
        blocks.iter().take_while(|block| !block.iter().fold(false, |hit, &b| hit | is_special(b))).count();
    let start = quiet * 32;
    find_special_byte(rest.get(start..)?).map(|at| from + start + at)
}

/// The same for a short way: eight bytes at a time. In each term of `hits` the lowest marked byte is a true hit, and
/// only the lowest is used.
#[inline]
fn find_special_byte(input: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let (words, tail) = input.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        let hits = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & HIGHS;
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    tail.iter().position(|&b| is_special(b)).map(|at| words.len() * 8 + at)
}

#[inline]
const fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
}

fn escape_length(rest: &[u8]) -> Result<usize, Malformed> {
    match rest.get(1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') if rest.get(2..6).is_some_and(|h| h.iter().all(u8::is_ascii_hexdigit)) => Ok(6),
        _ => Err(Malformed),
    }
}

fn unescape(text: &str) -> Result<String, TextFault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let (character, length) = escaped_char(&rest.as_bytes()[at..])?;
        out.push(character);
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The character of a checked escape and how many bytes it takes.
fn escaped_char(escape: &[u8]) -> Result<(char, usize), TextFault> {
    let simple = match escape.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(escape),
        Some(&other) => char::from(other),
        None => '\\',
    };
    Ok((simple, 2))
}

fn unicode_escape(escape: &[u8]) -> Result<(char, usize), TextFault> {
    let unit = hex4(escape);
    if let Some(character) = char::from_u32(unit.into()) {
        return Ok((character, 6));
    }
    if unit >= 0xdc00 {
        return Err(TextFault::Surrogate(unit));
    }
    let low = escape.get(6..).filter(|e| e.len() >= 6 && e.starts_with(b"\\u")).map(hex4);
    let low = low.ok_or(TextFault::MissingLowSurrogate)?;
    match char::decode_utf16([unit, low]).next() {
        Some(Ok(character)) => Ok((character, 12)),
        _ => Err(TextFault::Surrogate(low)),
    }
}

/// The number in `\uXXXX`, whose digits have been checked.
fn hex4(escape: &[u8]) -> u16 {
    let digits = escape.get(2..6).unwrap_or_default();
    digits.iter().fold(0, |n, &d| n << 4 | char::from(d).to_digit(16).unwrap_or(0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skips(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.skip_value(0).is_ok_and(|span| span == text.as_bytes())
    }

    #[test]
    fn well_formed_values_are_skipped_whole() {
        for text in [
            "0",
            "-0",
            "12",
            "-1.5e+3",
            "1E5",
            "true",
            "false",
            "null",
            "\"\"",
            "\"a\\u00e9\\n\"",
            "[]",
            "{}",
            "[1,[2,{}],{\"a\":[null]}]",
            "{\"a\":1,\"b\":{\"c\":[]}}",
            "[ 1 , 2 ]",
            "{ \"a\" : 1 }",
        ] {
            assert!(skips(text), "{text}");
        }
    }

    #[test]
    fn malformed_values_are_refused() {
        for text in [
            "",
            "-",
            "01x",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[1,]",
            "[,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{a:1}",
            "[}",
            "{]",
            "[",
            "{",
        ] {
            assert!(!skips(text), "{text}");
        }
    }

    #[test]
    fn depth_is_counted_with_what_is_open_around() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(Scanner::new(nested(64).as_bytes()).skip_value(0).is_ok());
        assert!(Scanner::new(nested(65).as_bytes()).skip_value(0).is_err());
        assert!(Scanner::new(nested(63).as_bytes()).skip_value(1).is_ok());
        assert!(Scanner::new(nested(64).as_bytes()).skip_value(1).is_err());
    }

    #[test]
    fn the_end_of_a_string_is_found_at_every_offset() {
        for length in 0..40 {
            for special in ["\"", "\\n\""] {
                let text = format!("\"{}{special} tail", "é".repeat(length));
                let mut scanner = Scanner::new(text.as_bytes());
                let string = scanner.string().unwrap().to_str().unwrap().into_owned();
                assert_eq!(string.trim_end(), "é".repeat(length));
            }
        }
    }

    #[test]
    fn surrogates_must_come_in_pairs() {
        let text = |t: &'static str| Scanner::new(t.as_bytes()).string().unwrap().to_str();
        assert_eq!(text(r#""\uD83D\uDE00""#), Ok("😀".into()));
        assert_eq!(text(r#""\uD83D""#), Err(TextFault::MissingLowSurrogate));
        assert_eq!(text(r#""\uD83Dx""#), Err(TextFault::MissingLowSurrogate));
        assert_eq!(text(r#""\uDE00""#), Err(TextFault::Surrogate(0xde00)));
        assert_eq!(text(r#""\uD83D\u0041""#), Err(TextFault::Surrogate(0x41)));
    }
}
