//! An error that can be the result of a transaction.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// Any error, as the chain of its messages.
///
/// What a transaction returns is written into the journal, which most errors
/// cannot be. This one can: it keeps what the error and its causes say, and
/// nothing else. Any error becomes one by `?`.
///
/// ```
/// fn parse(text: &str) -> durable::Result<u16> {
///     Ok(text.trim().parse()?)
/// }
///
/// assert_eq!(parse(" 80\n").unwrap(), 80);
/// assert_eq!(parse("http").unwrap_err().to_string(), "invalid digit found in string");
/// ```
///
/// `{}` shows the message of the error itself, `{:#}` the whole chain on one
/// line, `{:?}` the whole chain on lines of their own.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Error {
    /// The messages of the error and its causes, outermost first.
    chain: Vec<String>,
}

/// A result whose error can be the result of a transaction.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Keep the messages of an error and its causes.
    pub fn new<E: std::error::Error>(error: E) -> Self {
        let mut chain = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            chain.push(error.to_string());
            cause = error.source();
        }
        Self { chain }
    }

    /// An error with a message and no cause.
    ///
    /// ```
    /// let error = durable::Error::msg("no such customer");
    /// assert_eq!(error.to_string(), "no such customer");
    /// ```
    pub fn msg<M: Display>(message: M) -> Self {
        Self {
            chain: vec![message.to_string()],
        }
    }

    /// The messages of the error and its causes, outermost first.
    pub fn chain(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.chain.iter().map(String::as_str)
    }

    /// The same as an error of the standard library, for code that asks for
    /// one. (This type cannot be one itself, or `?` could not make it from any
    /// other error.)
    pub fn into_std_error(self) -> StdError {
        let cause = |cause: Option<_>, message| Some(Box::new(StdError { message, cause }));
        match self.chain.into_iter().rev().fold(None, cause) {
            Some(error) => *error,
            None => StdError::default(),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.write_str(&self.chain.join(": "))
        } else {
            f.write_str(self.chain.first().map_or("", String::as_str))
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        for cause in self.chain().skip(1) {
            write!(f, "\n  caused by: {cause}")?;
        }
        Ok(())
    }
}

/// An [`Error`] as an error of the standard library, with its causes.
#[derive(Clone, Debug, Default)]
pub struct StdError {
    message: String,
    cause: Option<Box<StdError>>,
}

impl Display for StdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StdError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    fn not_found() -> Error {
        let inner = StdError {
            message: "no such row".into(),
            cause: None,
        };
        Error::new(StdError {
            message: "cannot load the order".into(),
            cause: Some(Box::new(inner)),
        })
    }

    #[test]
    fn the_chain_survives_json() {
        let json = serde_json::to_string(&not_found()).unwrap();
        assert_eq!(json, r#"["cannot load the order","no such row"]"#);
        assert_eq!(serde_json::from_str::<Error>(&json).unwrap(), not_found());
    }

    #[test]
    fn it_shows_itself_or_the_whole_chain() {
        let error = not_found();
        assert_eq!(format!("{error}"), "cannot load the order");
        assert_eq!(format!("{error:#}"), "cannot load the order: no such row");
        assert_eq!(
            format!("{error:?}"),
            "cannot load the order\n  caused by: no such row"
        );
        assert_eq!(error.chain().last(), Some("no such row"));
    }

    #[test]
    fn the_standard_error_has_the_same_causes() {
        let error = not_found().into_std_error();
        assert_eq!(error.to_string(), "cannot load the order");
        assert_eq!(error.source().unwrap().to_string(), "no such row");
        assert!(error.source().unwrap().source().is_none());
    }
}
