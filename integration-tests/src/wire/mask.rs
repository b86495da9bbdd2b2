//! Variables of a scenario, and the masking of what differs with every run.
//!
//! Owns the values that a scenario knows (ids, tokens), their insertion into what is sent, and their removal from what is
//! written down.

use std::collections::BTreeMap;

/// What a scenario knows by name.
#[derive(Debug, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A text of a script with its variables, repetitions and control characters put in.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            out.push_str(&rest[..at]);
            let inside = &rest[at + 1..];
            let filled = inside.find('}').and_then(|end| Some((self.expand(&inside[..end])?, end)));
            match filled {
                Some((value, end)) => {
                    out.push_str(&value);
                    rest = &inside[end + 1..];
                }
                None => {
                    out.push('{');
                    rest = inside;
                }
            }
        }
        out.push_str(rest);
        out.replace('␞', "\u{1e}").replace('␍', "\r").replace('␊', "\n")
    }

    fn expand(&self, name: &str) -> Option<String> {
        if let Some(value) = self.get(name) {
            return Some(value.to_owned());
        }
        let (what, times) = name.split_once('*')?;
        let is_plain = !what.is_empty() && what.chars().all(|c| c.is_ascii_alphanumeric());
        is_plain.then_some(())?;
        Some(what.repeat(times.parse().ok()?))
    }

    /// A line with ids and tokens replaced by their names, and unknown ids by `<id>`.
    pub(super) fn mask(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, value) in self.values.iter().filter(|(_, value)| value.len() >= 20) {
            line = line.replace(value, &format!("<{name}>"));
        }
        // The date in a cookie.
        if let Some((head, tail)) = line.split_once("; expires=")
            && let Some((_, tail)) = tail.split_once(" GMT")
        {
            line = format!("{head}; expires=<date>{tail}");
        }
        mask_ids(&line)
    }
}

/// Replaces quoted texts of 22 characters that look like an id.
fn mask_ids(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'']) {
        let (head, tail) = rest.split_at(at + 1);
        out.push_str(head);
        let is_id = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        match tail.get(..22).filter(|id| is_id(id) && tail[22..].starts_with(['"', '\''])) {
            Some(_) => {
                out.push_str("<id>");
                rest = &tail[22..];
            }
            None => rest = tail,
        }
    }
    out + rest
}

/// Bytes as a line: text with its control characters made visible, or hexadecimal. Long ones are cut, with a sum.
pub(super) fn show(bytes: &[u8]) -> String {
    let is_text = |text: &&str| text.chars().all(|c| !c.is_control() || "\u{1e}\r\n\t".contains(c));
    let text = match std::str::from_utf8(bytes).ok().filter(is_text) {
        Some(text) => text.replace('\u{1e}', "␞").replace('\r', "␍").replace('\n', "␊"),
        None => format!("hex {}", crate::transcript::hex(bytes)),
    };
    match text.char_indices().nth(600) {
        Some(_) => {
            let start: String = text.chars().take(120).collect();
            format!("{start}... ({} bytes, sum {:08x})", bytes.len(), sum(bytes))
        }
        None => text,
    }
}

/// FNV-1a.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in_and_json_is_left_alone() {
        let mut variables = Variables::default();
        variables.set("a.id", "aaaaaaaaaaaaaaaaaaaaaa");
        assert_eq!(
            variables.fill(r#"{"x":{}}?id={a.id}{"z":"{y*3}"}␞"#),
            "{\"x\":{}}?id=aaaaaaaaaaaaaaaaaaaaaa{\"z\":\"yyy\"}\u{1e}"
        );
        assert_eq!(variables.mask("id=aaaaaaaaaaaaaaaaaaaaaa"), "id=<a.id>");
        assert_eq!(
            variables.mask(r#"{"connectionId":"bbbbbbbbbbbbbbbbbbbbb_"}"#),
            r#"{"connectionId":"<id>"}"#
        );
    }
}
