//! Percent-decoding of the parts of a URL.

use super::super::error::RedisConfigError;
use super::problem;

/// Decodes `%XX`. Errors never repeat the text, which may be a password.
pub(super) fn decode(text: &str) -> Result<String, RedisConfigError> {
    let wrong =
        || problem("`%` is not followed by two hexadecimal digits of UTF-8; write `%25` for a plain `%`");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digit =
            |at: usize| char::from(digits[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(0).ok_or_else(wrong)? * 16 + digit(1).ok_or_else(wrong)?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_decoded() {
        assert_eq!(decode("a%2Cb%3D%c3%a4").unwrap(), "a,b=ä");
        assert_eq!(decode("").unwrap(), "");
        for broken in ["%", "secret%2", "%zz", "%ff", "ä%e"] {
            let error = decode(broken).unwrap_err().to_string();
            assert!(error.contains("%25") && !error.contains("secret"), "{error}");
        }
    }
}
