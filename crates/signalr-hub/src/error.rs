//! The error of hub code, and how much of it a client may see.
//!
//! Owns the short type name and the detail rule (B-7.9). Where the texts go is the dispatcher's business.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// What a hub method returns when it can fail.
pub type HubResult<T> = Result<T, HubError>;

/// Why hub code failed.
///
/// Any error converts into it with `?`; like `anyhow::Error` it does not implement [`Error`] itself, which is what makes
/// that possible. The text of [`HubError::new`] always reaches the caller (the reference's `HubException`); of all others
/// the caller sees name and text only with `detailed_errors`.
pub struct HubError {
    name: Cow<'static, str>,
    message: Cow<'static, str>,
    shown: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl HubError {
    /// An error whose text is meant for the caller.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { name: "HubException".into(), message: message.into(), shown: true, source: None }
    }

    /// An error under a type name of its own, whose text is meant for the caller: what a subclass of the reference's
    /// `HubException` is there.
    pub fn exception_named(
        name: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { name: name.into(), message: message.into(), shown: true, source: None }
    }

    /// An error that the caller sees only with detailed errors, under this type name.
    pub fn named(name: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { name: name.into(), message: message.into(), shown: false, source: None }
    }

    /// The same error under the name that the reference gives it.
    pub(crate) fn renamed(mut self, name: &'static str) -> Self {
        self.name = name.into();
        self
    }

    /// The short type name, as the caller would see it.
    pub fn type_name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the caller sees name and text without `detailed_errors`.
    pub fn is_shown(&self) -> bool {
        self.shown
    }

    /// The error that this was made from, if it is an `E`.
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.source.as_deref()?.downcast_ref()
    }

    /// `text`, with name and message appended when the caller may see them.
    pub(crate) fn detail(&self, text: &str, detailed: bool) -> String {
        if self.shown || detailed {
            format!("{text} {}: {}", self.name, self.message)
        } else {
            text.to_owned()
        }
    }

    /// The error of a caught panic; only its text is known.
    pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::named("Panic", text.unwrap_or_else(|| "the hub method panicked".to_owned()))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for HubError {
    fn from(error: E) -> Self {
        let message = error.to_string().into();
        Self { name: short_name::<E>().into(), message, shown: false, source: Some(Box::new(error)) }
    }
}

/// For programs that only report their errors: `?` works in a function that returns a boxed error.
impl From<HubError> for Box<dyn Error + Send + Sync> {
    fn from(error: HubError) -> Self {
        Box::new(Reported(error))
    }
}

/// A [`HubError`] that has left hub code: it can be an [`Error`], because nothing converts it back.
#[derive(Debug)]
struct Reported(HubError);

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Reported {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref()?.source()
    }
}

/// The last path segment of a type's name, without its type parameters.
fn short_name<T>() -> &'static str {
    let path = std::any::type_name::<T>();
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

impl fmt::Debug for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)?;
        let mut source = self.source.as_deref().and_then(Error::source);
        while let Some(error) = source {
            write!(f, ", because {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails() -> HubResult<i32> {
        Ok("x".parse::<i32>()?)
    }

    #[test]
    fn any_error_converts_and_keeps_its_short_name() {
        let error = fails().unwrap_err();
        assert_eq!(error.type_name(), "ParseIntError");
        assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
        assert_eq!(error.detail("Failed.", false), "Failed.");
        assert_eq!(error.detail("Failed.", true), "Failed. ParseIntError: invalid digit found in string");
    }

    #[test]
    fn a_hub_error_can_leave_as_a_boxed_error() {
        fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
            Err(HubError::new("no such room"))?
        }
        assert_eq!(main().unwrap_err().to_string(), "no such room");
    }

    #[test]
    fn a_hub_error_is_always_shown() {
        let error = HubError::new("no such room");
        assert_eq!(error.detail("Failed.", false), "Failed. HubException: no such room");
    }
}
