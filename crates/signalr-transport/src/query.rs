//! Query parameters as the reference reads them: names ignore case, repeated values are joined by commas.

/// The decoded value of a parameter; `None` when it is not there.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut found: Option<String> = None;
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(key).eq_ignore_ascii_case(name) {
            let value = decode(value);
            found = Some(match found {
                Some(before) => format!("{before},{value}"),
                None => value,
            });
        }
    }
    found
}

/// `+` is a blank, `%XX` a byte; what is malformed stays, what is not UTF-8 becomes U+FFFD.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        out.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest = after;
                digit(*high) << 4 | digit(*low)
            }
            _ => *byte,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn digit(character: u8) -> u8 {
    char::from(character).to_digit(16).unwrap_or(0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_values_are_joined() {
        assert_eq!(parameter("a=1&ID=x%2By&id=z", "id").as_deref(), Some("x+y,z"));
        assert_eq!(parameter("%69d=a+b%", "id").as_deref(), Some("a b%"));
        assert_eq!(parameter("id", "id").as_deref(), Some(""));
        assert_eq!(parameter("idx=1", "id"), None);
    }
}
