//! Passwords: text that no formatter prints.
//!
//! Owns the wrapper only. The text comes from a connection string, a URL or the builder, and leaves through
//! [`Secret::expose`], which the dialler calls when it authenticates.

use std::fmt;

/// A password. `Debug` prints `*****`, there is no `Display`, and [`expose`](Self::expose) is the only way to the text.
///
/// The memory is not wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself. Do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "*****" })
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "*****");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(format!("{:?}", Secret::from("")), "\"\"");
    }
}
