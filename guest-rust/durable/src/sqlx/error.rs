//! What can go wrong with SQL, in a form that can be recorded.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use sqlx_core::error::Error as CoreError;
#[doc(no_inline)]
pub use sqlx_core::error::{BoxDynError, DatabaseError, ErrorKind, UnexpectedNullError};

use super::bindings::durable::core::sql::DatabaseErrorKind;
use super::driver;

/// What went wrong with a query.
///
/// These are the errors of sqlx that can occur in a workflow, under the names
/// that they have there. Unlike those of sqlx they can be the result of a
/// [`transaction`](super::transaction). What the database said is recorded with
/// all its parts, and of the error within `ColumnDecode`, `Encode`, `Decode` and
/// `Other` the message.
///
/// ```no_run
/// use durable::sqlx;
///
/// let inserted = sqlx::transaction("reserve", |mut conn| {
///     sqlx::query("INSERT INTO reservation (seat) VALUES ($1)")
///         .bind(12)
///         .execute(&mut conn)
/// });
/// match inserted {
///     Ok(_) => println!("reserved"),
///     Err(sqlx::Error::Database(error)) if error.is_unique_violation() => println!("taken"),
///     Err(error) => durable::abort(error),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The database refused the statement. It takes no further statements in
    /// this transaction, unless this happened behind a savepoint
    /// ([`Connection::begin`](super::Connection::begin)) that is rolled back.
    Database(Box<dyn DatabaseError>),

    /// The driver and the host do not understand each other.
    Protocol(String),

    /// There is no row where there must be one.
    RowNotFound,

    /// The database has no such type.
    TypeNotFound {
        /// The name that was asked for.
        type_name: String,
    },

    /// The row has fewer columns.
    ColumnIndexOutOfBounds {
        /// The index that was asked for.
        index: usize,
        /// The number of columns.
        len: usize,
    },

    /// The row has no column of this name.
    ColumnNotFound(String),

    /// The value of a column is not what was asked for.
    ColumnDecode {
        /// The index or the name of the column.
        index: String,
        /// Why the value could not be read.
        source: BoxDynError,
    },

    /// A value could not be made a parameter.
    Encode(BoxDynError),

    /// A value is not what was asked for.
    Decode(BoxDynError),

    /// Anything else.
    Other(BoxDynError),
}

/// A result whose error is an [`Error`] unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the database said, if this is an error of the database.
    pub fn as_database_error(&self) -> Option<&(dyn DatabaseError + 'static)> {
        match self {
            Self::Database(error) => Some(&**error),
            _ => None,
        }
    }

    /// What the database said, if this is an error of the database.
    pub fn into_database_error(self) -> Option<Box<dyn DatabaseError>> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<CoreError> for Error {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Database(error) => Self::Database(error),
            CoreError::Protocol(message) => Self::Protocol(message),
            CoreError::RowNotFound => Self::RowNotFound,
            CoreError::TypeNotFound { type_name } => Self::TypeNotFound { type_name },
            CoreError::ColumnIndexOutOfBounds { index, len } => {
                Self::ColumnIndexOutOfBounds { index, len }
            }
            CoreError::ColumnNotFound(name) => Self::ColumnNotFound(name),
            CoreError::ColumnDecode { index, source } => Self::ColumnDecode { index, source },
            CoreError::Encode(error) => Self::Encode(error),
            CoreError::Decode(error) => Self::Decode(error),
            // What the host has no kind for: see the driver.
            CoreError::InvalidArgument(message) => Self::Other(message.into()),
            error => Self::Other(error.to_string().into()),
        }
    }
}

/// So that `?` also works where sqlx wants its own error, as in
/// [`Query::try_map`](super::Query::try_map).
impl From<Error> for CoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => Self::Database(error),
            Error::Protocol(message) => Self::Protocol(message),
            Error::RowNotFound => Self::RowNotFound,
            Error::TypeNotFound { type_name } => Self::TypeNotFound { type_name },
            Error::ColumnIndexOutOfBounds { index, len } => {
                Self::ColumnIndexOutOfBounds { index, len }
            }
            Error::ColumnNotFound(name) => Self::ColumnNotFound(name),
            Error::ColumnDecode { index, source } => Self::ColumnDecode { index, source },
            Error::Encode(error) => Self::Encode(error),
            Error::Decode(error) => Self::Decode(error),
            Error::Other(error) => Self::InvalidArgument(error.to_string()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(error) => write!(f, "error returned from database: {error}"),
            Self::Protocol(message) => write!(f, "unexpected answer of the host: {message}"),
            Self::RowNotFound => f.write_str("the query returned no row, but there must be one"),
            Self::TypeNotFound { type_name } => {
                write!(f, "the database has no type {type_name:?}")
            }
            Self::ColumnIndexOutOfBounds { index, len } => {
                write!(f, "there is no column {index}: the row has {len} columns")
            }
            Self::ColumnNotFound(name) => write!(f, "there is no column {name:?}"),
            Self::ColumnDecode { index, source } => {
                write!(f, "cannot read column {index}: {source}")
            }
            Self::Encode(error) => write!(f, "cannot encode a value: {error}"),
            Self::Decode(error) => write!(f, "cannot decode a value: {error}"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

// The message tells the cause already, so the chain goes on behind it.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(error) => error.source(),
            Self::ColumnDecode { source: error, .. }
            | Self::Encode(error)
            | Self::Decode(error)
            | Self::Other(error) => error.source(),
            _ => None,
        }
    }
}

/// An [`Error`] as it is recorded: an object of strings, of which `type` says
/// which others there are.
///
/// The code that serde derives for the enum takes more space than all the rest
/// of a small workflow.
#[derive(Default)]
struct Recorded(Vec<(Cow<'static, str>, String)>);

impl Recorded {
    fn new(r#type: &str) -> Self {
        Self::default().with("type", r#type)
    }

    fn with<S: ToString + ?Sized>(mut self, key: &'static str, value: &S) -> Self {
        self.0.push((key.into(), value.to_string()));
        self
    }

    fn with_option(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.swap_remove(index).1)
    }

    fn take_or_default(&mut self, key: &str) -> String {
        self.take(key).unwrap_or_default()
    }

    fn take_number(&mut self, key: &str) -> usize {
        self.take_or_default(key).parse().unwrap_or_default()
    }
}

const MESSAGE: &str = "message";

impl From<&Error> for Recorded {
    fn from(error: &Error) -> Self {
        let caused = |r#type, error: &BoxDynError| {
            let chain = crate::Error::new(&**error);
            Self::new(r#type).with(MESSAGE, &format_args!("{chain:#}"))
        };
        match error {
            Error::Database(error) => Self::new("database")
                .with(MESSAGE, error.message())
                .with("kind", kind_to_name(error.kind()))
                .with_option("code", error.code().as_deref())
                .with_option("constraint", error.constraint())
                .with_option("table", error.table()),
            Error::Protocol(message) => Self::new("protocol").with(MESSAGE, message),
            Error::RowNotFound => Self::new("row-not-found"),
            Error::TypeNotFound { type_name } => {
                Self::new("type-not-found").with("name", type_name)
            }
            Error::ColumnIndexOutOfBounds { index, len } => Self::new("column-index-out-of-bounds")
                .with("index", index)
                .with("len", len),
            Error::ColumnNotFound(name) => Self::new("column-not-found").with("name", name),
            Error::ColumnDecode { index, source } => {
                caused("column-decode", source).with("index", index)
            }
            Error::Encode(source) => caused("encode", source),
            Error::Decode(source) => caused("decode", source),
            Error::Other(source) => caused("other", source),
        }
    }
}

impl From<Recorded> for Error {
    fn from(mut recorded: Recorded) -> Self {
        let message = recorded.take_or_default(MESSAGE);
        match &*recorded.take_or_default("type") {
            "database" => Self::Database(Box::new(driver::DatabaseError {
                message,
                kind: kind_from_name(&recorded.take_or_default("kind")),
                code: recorded.take("code"),
                constraint: recorded.take("constraint"),
                table: recorded.take("table"),
            })),
            "protocol" => Self::Protocol(message),
            "row-not-found" => Self::RowNotFound,
            "type-not-found" => Self::TypeNotFound {
                type_name: recorded.take_or_default("name"),
            },
            "column-index-out-of-bounds" => Self::ColumnIndexOutOfBounds {
                index: recorded.take_number("index"),
                len: recorded.take_number("len"),
            },
            "column-not-found" => Self::ColumnNotFound(recorded.take_or_default("name")),
            "column-decode" => Self::ColumnDecode {
                index: recorded.take_or_default("index"),
                source: message.into(),
            },
            "encode" => Self::Encode(message.into()),
            "decode" => Self::Decode(message.into()),
            _ => Self::Other(message.into()),
        }
    }
}

fn kind_to_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UniqueViolation => "unique-violation",
        ErrorKind::ForeignKeyViolation => "foreign-key-violation",
        ErrorKind::NotNullViolation => "not-null-violation",
        ErrorKind::CheckViolation => "check-violation",
        _ => "other",
    }
}

fn kind_from_name(name: &str) -> DatabaseErrorKind {
    match name {
        "unique-violation" => DatabaseErrorKind::UniqueViolation,
        "foreign-key-violation" => DatabaseErrorKind::ForeignKeyViolation,
        "not-null-violation" => DatabaseErrorKind::NotNullViolation,
        "check-violation" => DatabaseErrorKind::CheckViolation,
        _ => DatabaseErrorKind::Other,
    }
}

impl Serialize for Error {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(Recorded::from(self).0)
    }
}

impl<'de> Deserialize<'de> for Error {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(RecordedVisitor).map(Self::from)
    }
}

struct RecordedVisitor;

impl<'de> Visitor<'de> for RecordedVisitor {
    type Value = Recorded;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an error of SQL")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Recorded, M::Error> {
        let mut recorded = Recorded::default();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            recorded.0.push((key.into(), value));
        }
        Ok(recorded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> driver::DatabaseError {
        driver::DatabaseError {
            message: "duplicate key value".into(),
            kind: DatabaseErrorKind::UniqueViolation,
            code: Some("23505".into()),
            constraint: Some("step_pkey".into()),
            table: Some("step".into()),
        }
    }

    fn round_trip(error: &Error) -> (String, Error) {
        let json = serde_json::to_string(error).unwrap();
        let read = serde_json::from_str(&json).unwrap();
        (json, read)
    }

    #[test]
    fn every_error_survives_json_with_its_message() {
        let cause = || "not a colour".into();
        for error in [
            Error::Database(Box::new(example())),
            Error::Protocol("no count".into()),
            Error::RowNotFound,
            Error::TypeNotFound {
                type_name: "mood".into(),
            },
            Error::ColumnIndexOutOfBounds { index: 3, len: 2 },
            Error::ColumnNotFound("x".into()),
            Error::ColumnDecode {
                index: "\"x\"".into(),
                source: cause(),
            },
            Error::Encode(cause()),
            Error::Decode(cause()),
            Error::Other(cause()),
        ] {
            let (json, read) = round_trip(&error);
            assert_eq!(read.to_string(), error.to_string());
            assert_eq!(round_trip(&read).0, json);
            let there_and_back = Error::from(CoreError::from(read));
            assert_eq!(there_and_back.to_string(), error.to_string());
        }
    }

    #[test]
    fn an_error_of_the_database_keeps_what_it_is() {
        let error = Error::Database(Box::new(example()));
        let error = round_trip(&error).1.into_database_error().unwrap();
        assert!(error.is_unique_violation());
        assert_eq!(error.code().as_deref(), Some("23505"));
        assert_eq!(error.constraint(), Some("step_pkey"));
        assert_eq!(error.table(), Some("step"));
        assert_eq!(error.message(), "duplicate key value");
    }

    #[test]
    fn every_kind_survives_json() {
        for kind in [
            DatabaseErrorKind::UniqueViolation,
            DatabaseErrorKind::ForeignKeyViolation,
            DatabaseErrorKind::NotNullViolation,
            DatabaseErrorKind::CheckViolation,
            DatabaseErrorKind::Other,
        ] {
            let error = driver::DatabaseError { kind, ..example() };
            let expected = error.kind();
            let error = round_trip(&Error::Database(Box::new(error))).1;
            assert_eq!(error.as_database_error().unwrap().kind(), expected);
        }
    }

    #[test]
    fn an_error_of_sqlx_without_a_name_here_is_told_by_its_message() {
        let error = Error::from(CoreError::PoolClosed);
        assert_eq!(error.to_string(), CoreError::PoolClosed.to_string());
    }
}
