//! Reading of `--name value`, `--name=value` and `--switch`, and of `PEER_NAME` for what is not given.
//!
//! Owns syntax, ranges and error texts, which are those of `dotnet-peer`; which flags there are is `options`' business.

use std::collections::HashMap;
use std::time::Duration;

/// Wrong use of the command line.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

type Answer<T> = Result<T, UsageError>;

fn usage<T>(text: String) -> Answer<T> {
    Err(UsageError(text))
}

/// What was given.
pub(crate) struct Flags {
    given: HashMap<String, String>,
    environment: fn(&str) -> Option<String>,
}

impl Flags {
    /// Reads arguments. `is_switch` says of each known flag whether it stands alone; the environment fills in the rest.
    pub(crate) fn read(
        args: &[String],
        is_switch: impl Fn(&str) -> Option<bool>,
        environment: fn(&str) -> Option<String>,
    ) -> Answer<Self> {
        let mut given = HashMap::new();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let Some(flag) = arg.strip_prefix("--") else {
                return usage(format!("unexpected argument '{arg}'"));
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let Some(stands_alone) = is_switch(name) else {
                return usage(format!("unknown flag '--{name}'"));
            };
            let value = match value {
                Some(value) => value,
                None if stands_alone => "true".to_owned(),
                None => match args.next() {
                    Some(value) => value.clone(),
                    None => return usage(format!("'--{name}' needs a value")),
                },
            };
            given.insert(name.to_owned(), value);
        }
        Ok(Self { given, environment })
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).cloned().or_else(|| {
            let variable = format!("PEER_{}", name.to_uppercase().replace('-', "_"));
            (self.environment)(&variable).filter(|value| !value.is_empty())
        })
    }

    pub(crate) fn switch(&self, name: &str) -> Answer<bool> {
        let Some(value) = self.text(name).map(|value| value.to_lowercase()) else { return Ok(false) };
        match value.as_str() {
            "0" | "false" | "no" | "off" => Ok(false),
            "1" | "true" | "yes" | "on" => Ok(true),
            _ => usage(format!("--{name}: '{value}' is neither true nor false")),
        }
    }

    pub(crate) fn number(&self, name: &str, least: i64, most: i64) -> Answer<Option<i64>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let Ok(number) = text.parse::<i64>() else {
            return usage(format!("--{name}: '{text}' is not a whole number"));
        };
        if number < least || number > most {
            let limit = if number < least { format!("at least {least}") } else { format!("at most {most}") };
            return usage(format!("--{name}: {number} is out of range, it must be {limit}"));
        }
        Ok(Some(number))
    }

    pub(crate) fn size(&self, name: &str, least: i64, most: i64) -> Answer<Option<usize>> {
        let number = self.number(name, least, most)?;
        Ok(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
    }

    pub(crate) fn milliseconds(&self, name: &str, least: i64) -> Answer<Option<Duration>> {
        let number = self.number(name, least, i64::from(i32::MAX))?;
        Ok(number.map(|number| Duration::from_millis(number.unsigned_abs())))
    }

    /// A comma list in which every item must be one of those allowed.
    pub(crate) fn choices(&self, name: &str, allowed: &[&str]) -> Answer<Vec<String>> {
        let text = self.text(name).unwrap_or_else(|| allowed.join(","));
        let items: Vec<String> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        let wrong = items.iter().find(|item| !allowed.contains(&item.as_str()));
        if wrong.is_some() || items.is_empty() {
            let wrong = wrong.map_or("", String::as_str);
            return usage(format!("--{name}: '{wrong}' is not one of {}", allowed.join(", ")));
        }
        let has_twice = items.iter().enumerate().any(|(at, item)| items[..at].contains(item));
        if has_twice { usage(format!("--{name}: something is there twice")) } else { Ok(items) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Answer<Flags> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let known = |name: &str| match name {
            "lz4" => Some(true),
            "hubs" | "max-receive" => Some(false),
            _ => None,
        };
        Flags::read(&args, known, |name| (name == "PEER_MAX_RECEIVE").then(|| "5".to_owned()))
    }

    fn refused<T>(answer: Answer<T>) -> String {
        answer.map(|_| ()).unwrap_err().0
    }

    #[test]
    fn values_come_from_flags_then_from_the_environment() {
        let flags = read(&["--lz4", "--hubs", "bench"]).unwrap();
        assert!(flags.switch("lz4").unwrap());
        assert_eq!(flags.choices("hubs", &["suite", "bench"]).unwrap(), ["bench"]);
        assert_eq!(flags.number("max-receive", 0, 9).unwrap(), Some(5));
        assert_eq!(read(&["--max-receive=7"]).unwrap().number("max-receive", 0, 9).unwrap(), Some(7));
        assert!(!read(&["--lz4=off"]).unwrap().switch("lz4").unwrap());
    }

    #[test]
    fn wrong_use_is_named_as_the_reference_names_it() {
        assert_eq!(refused(read(&["x"])), "unexpected argument 'x'");
        assert_eq!(refused(read(&["--x"])), "unknown flag '--x'");
        assert_eq!(refused(read(&["--hubs"])), "'--hubs' needs a value");
        let text = refused(read(&["--lz4=maybe"]).unwrap().switch("lz4"));
        assert_eq!(text, "--lz4: 'maybe' is neither true nor false");
        let hubs = |list: &str| refused(read(&["--hubs", list]).unwrap().choices("hubs", &["a", "b"]));
        assert_eq!(hubs("a,x"), "--hubs: 'x' is not one of a, b");
        assert_eq!(hubs(","), "--hubs: '' is not one of a, b");
        assert_eq!(hubs("a,a"), "--hubs: something is there twice");
        let number =
            |text: &str| refused(read(&["--max-receive", text]).unwrap().number("max-receive", 1, 9));
        assert_eq!(number("x"), "--max-receive: 'x' is not a whole number");
        assert_eq!(number("0"), "--max-receive: 0 is out of range, it must be at least 1");
        assert_eq!(number("10"), "--max-receive: 10 is out of range, it must be at most 9");
    }
}
