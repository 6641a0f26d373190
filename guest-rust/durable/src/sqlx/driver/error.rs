//! What the host reports, as the errors of sqlx.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use sqlx_core::error::{DatabaseError as CoreDatabaseError, Error, ErrorKind};

use crate::sqlx::bindings::durable::core::sql;

impl From<sql::Error> for Error {
    fn from(error: sql::Error) -> Self {
        match error {
            sql::Error::ColumnDecode(error) => Self::ColumnDecode {
                index: error.index,
                source: error.source.into(),
            },
            sql::Error::TypeNotFound(type_name) => Self::TypeNotFound { type_name },
            sql::Error::Encode(message) => Self::Encode(message.into()),
            sql::Error::Decode(message) => Self::Decode(message.into()),
            sql::Error::Database(error) => Self::Database(Box::new(DatabaseError::from(error))),
            // Of the errors of sqlx, the one that consists of a message alone.
            sql::Error::Other(message) => Self::InvalidArgument(message),
        }
    }
}

/// What the database said about a statement that it refused.
///
/// Its parts are read by the functions of
/// [`sqlx::error::DatabaseError`](CoreDatabaseError).
#[derive(Clone, Debug)]
pub struct DatabaseError {
    pub(in crate::sqlx) message: String,
    pub(in crate::sqlx) kind: sql::DatabaseErrorKind,
    pub(in crate::sqlx) code: Option<String>,
    pub(in crate::sqlx) constraint: Option<String>,
    pub(in crate::sqlx) table: Option<String>,
}

impl From<sql::DatabaseError> for DatabaseError {
    fn from(error: sql::DatabaseError) -> Self {
        Self {
            message: error.message,
            kind: error.kind,
            code: error.code,
            constraint: error.constraint,
            table: error.table,
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for DatabaseError {}

impl CoreDatabaseError for DatabaseError {
    fn message(&self) -> &str {
        &self.message
    }

    fn code(&self) -> Option<Cow<'_, str>> {
        self.code.as_deref().map(Cow::Borrowed)
    }

    fn constraint(&self) -> Option<&str> {
        self.constraint.as_deref()
    }

    fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    fn kind(&self) -> ErrorKind {
        match self.kind {
            sql::DatabaseErrorKind::UniqueViolation => ErrorKind::UniqueViolation,
            sql::DatabaseErrorKind::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            sql::DatabaseErrorKind::NotNullViolation => ErrorKind::NotNullViolation,
            sql::DatabaseErrorKind::CheckViolation => ErrorKind::CheckViolation,
            sql::DatabaseErrorKind::Other => ErrorKind::Other,
        }
    }

    fn as_error(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }

    fn as_error_mut(&mut self) -> &mut (dyn StdError + Send + Sync + 'static) {
        self
    }

    fn into_error(self: Box<Self>) -> Box<dyn StdError + Send + Sync + 'static> {
        self
    }
}
