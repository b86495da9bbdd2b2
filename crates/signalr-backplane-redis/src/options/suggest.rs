//! "Did you mean": the nearest of the words that exist.
//!
//! Pure; used by error messages only. Words longer than [`LONGEST`] get no suggestion, which bounds the work.

const LONGEST: usize = 40;

/// The word of `known` that is nearest to `word`, if one is near enough to be a likely slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = (word.len() / 3).clamp(1, 4);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other = plain(candidate);
        let starts = word.len() >= 3 && (other.starts_with(&word) || word.starts_with(&other));
        let distance = distance(&word, &other).min(if starts { allowed } else { usize::MAX });
        if distance <= allowed && best.is_none_or(|(nearest, _)| distance < nearest) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Letters and digits only, in lower case: `connect_timeout` and `connectTimeout` are the same word.
pub(crate) fn plain(word: &str) -> String {
    word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Levenshtein's distance: how many letters must be put in, taken out or changed.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, letter) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (at, other) in right.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[at + 1];
            row[at + 1] = change.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word() {
        let known = ["password", "connectTimeout", "syncTimeout", "abortConnect", "ssl", "sslHost"];
        assert_eq!(nearest("pasword", known), Some("password"));
        assert_eq!(nearest("connect_time_out", known), Some("connectTimeout"));
        assert_eq!(nearest("abortOnConnect", known), Some("abortConnect"));
        assert_eq!(nearest("sync", known), Some("syncTimeout"));
        assert_eq!(nearest("SSL", known), Some("ssl"));
    }

    #[test]
    fn other_words_find_none() {
        assert_eq!(nearest("colour", ["password", "ssl"]), None);
        assert_eq!(nearest("", ["ssl"]), None);
        assert_eq!(nearest(&"s".repeat(100_000), ["ssl"]), None);
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
