//! What can go wrong with SQL, in a form that can be recorded.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx_core::error::{BoxDynError, DatabaseError, Error as CoreError};

use super::driver;

/// What went wrong with a query.
///
/// These are the errors of sqlx that can occur in a workflow, under the names
/// that they have there. Unlike those of sqlx they can be the result of a
/// [`transaction`](super::transaction): what the database said is recorded as
/// it is, of the error within `ColumnDecode`, `Encode`, `Decode` and `Other`
/// the messages.
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
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "error", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Error {
    /// The database refused the statement. It takes no further statements in
    /// this transaction, unless this happened behind a savepoint
    /// ([`Connection::begin`](super::Connection::begin)) that is rolled back.
    Database(#[serde(with = "recorded_database_error")] Box<dyn DatabaseError>),

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
        #[serde(with = "recorded_error")]
        source: BoxDynError,
    },

    /// A value could not be made a parameter.
    Encode(#[serde(with = "recorded_error")] BoxDynError),

    /// A value is not what was asked for.
    Decode(#[serde(with = "recorded_error")] BoxDynError),

    /// Anything else.
    Other(#[serde(with = "recorded_error")] BoxDynError),
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
            error => Self::Other(error.into()),
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

/// Any error as the messages of its chain.
mod recorded_error {
    use super::*;

    pub fn serialize<S: Serializer>(error: &BoxDynError, to: S) -> Result<S::Ok, S::Error> {
        crate::Error::new(&**error as &dyn std::error::Error).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BoxDynError, D::Error> {
        let error = crate::Error::deserialize(from)?;
        Ok(error.into_std_error().into())
    }
}

/// An error of the database, which in a workflow is one of this driver.
mod recorded_database_error {
    use super::*;

    pub fn serialize<S: Serializer>(
        error: &Box<dyn DatabaseError>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match error.try_downcast_ref::<driver::DatabaseError>() {
            Some(error) => error.serialize(to),
            None => driver::DatabaseError::from_other(&**error).serialize(to),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Box<dyn DatabaseError>, D::Error> {
        Ok(Box::new(driver::DatabaseError::deserialize(from)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(error: &Error) -> (String, Error) {
        let json = serde_json::to_string(error).unwrap();
        let read = serde_json::from_str(&json).unwrap();
        (json, read)
    }

    #[test]
    fn every_error_survives_json_with_its_message() {
        let cause = || "not a colour".into();
        for error in [
            Error::Database(Box::new(driver::DatabaseError::example())),
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
        let error = Error::Database(Box::new(driver::DatabaseError::example()));
        let error = round_trip(&error).1.into_database_error().unwrap();
        assert!(error.is_unique_violation());
        assert_eq!(error.code().as_deref(), Some("23505"));
        assert_eq!(error.constraint(), Some("step_pkey"));
        assert_eq!(error.table(), Some("step"));
        assert_eq!(error.message(), "duplicate key value");
    }

    #[test]
    fn an_error_of_sqlx_without_a_name_here_is_told_by_its_message() {
        let error = Error::from(CoreError::PoolClosed);
        assert_eq!(error.to_string(), CoreError::PoolClosed.to_string());
    }
}
