//! What can be wrong with a configuration of Redis: each error names the word and the fix.
//!
//! No error carries a password: parsers leave out the words that may be a piece of one.

/// Why a configuration was refused. None of these goes away by itself; a human has to change the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisConfigError {
    /// Nothing was given.
    #[error(
        "the Redis configuration is empty; write for example `redis://localhost:6379` or `localhost:6379`"
    )]
    Empty,
    /// There are options, but no server to connect to.
    #[error("the Redis configuration names no server; begin it with a host, for example `localhost:6379`")]
    NoEndpoint,
    /// A key that no option has.
    #[error("`{keyword}` is not an option of Redis connections; {}", fix(.suggestion.as_deref()))]
    UnknownOption {
        /// The key as it was written.
        keyword: String,
        /// The option that was probably meant.
        suggestion: Option<String>,
    },
    /// A word behind a password that is neither an option nor a server: it may be the rest of the password, so it is
    /// not repeated here.
    #[error(
        "the part behind `password=` is neither an option nor a server; a password with a comma cannot stand in a \
         connection string: use the builder, or a URL with `%2C` for the comma"
    )]
    BrokenPassword,
    /// A value that its option does not take.
    #[error("`{option}` takes {expected}, but the value is `{value}`")]
    InvalidValue {
        /// The option.
        option: String,
        /// The value as it was written; `*****` when it may be secret.
        value: String,
        /// What may stand there.
        expected: String,
    },
    /// Something that cannot be the address of a server.
    #[error("`{text}` is not an address of Redis; {fix}")]
    InvalidEndpoint {
        /// The word as it was written.
        text: String,
        /// What to write.
        fix: String,
    },
    /// A port outside 0 to 65535.
    #[error("`{port}` is not a port; write a number from 1 to 65535")]
    InvalidPort {
        /// The port as it was written.
        port: String,
    },
    /// A scheme that is not one of ours.
    #[error("`{scheme}://` is not a scheme of Redis; {}", scheme_fix(.suggestion.as_deref()))]
    UnknownScheme {
        /// The scheme as it was written.
        scheme: String,
        /// The scheme that was probably meant.
        suggestion: Option<String>,
    },
    /// A URL that cannot be read.
    #[error("the Redis URL cannot be read: {problem}")]
    InvalidUrl {
        /// What is wrong and what to write.
        problem: String,
    },
    /// A command that Redis does not have.
    #[error("`{command}` is not a command of Redis; {}", fix(.suggestion.as_deref()))]
    UnknownCommand {
        /// The command as it was written.
        command: String,
        /// The command that was probably meant.
        suggestion: Option<String>,
    },
    /// Two settings that exclude each other, or one that this backplane cannot work with.
    #[error("{what}; {fix}")]
    Impossible {
        /// The settings, by name.
        what: String,
        /// What to change.
        fix: String,
    },
    /// A value that connection strings have no way to write.
    #[error(
        "the value of `{option}` contains a comma or surrounding blanks and cannot stand in a connection string; use a URL or the builder"
    )]
    NotWritable {
        /// The option.
        option: String,
    },
}

impl RedisConfigError {
    pub(crate) fn impossible(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Impossible { what: what.into(), fix: fix.into() }
    }

    pub(crate) fn value(option: &str, value: &str, expected: impl Into<String>) -> Self {
        Self::InvalidValue { option: option.to_owned(), value: shown(value), expected: expected.into() }
    }

    pub(crate) fn endpoint(text: &str, fix: impl Into<String>) -> Self {
        Self::InvalidEndpoint { text: shown(text), fix: fix.into() }
    }

    pub(crate) fn unknown_option(keyword: &str, suggestion: Option<&str>) -> Self {
        Self::UnknownOption { keyword: shown(keyword), suggestion: suggestion.map(str::to_owned) }
    }
}

/// The word itself, unless a password may be in it: one of a URL, or of an option behind a wrong separator.
fn shown(word: &str) -> String {
    let plain: String = word.to_ascii_lowercase().split_whitespace().collect();
    let secret = plain.contains('@') || plain.contains("password=");
    if secret { "*****".to_owned() } else { word.to_owned() }
}

fn scheme_fix(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(_) => fix(suggestion),
        None => "write `redis://`, `redis+sentinel://`, `redis-cluster://` or `redis+unix://`, and `rediss` for TLS"
            .to_owned(),
    }
}

fn fix(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(suggestion) => format!("did you mean `{suggestion}`?"),
        None => "see the documentation of `RedisOptions` for those that exist".to_owned(),
    }
}
