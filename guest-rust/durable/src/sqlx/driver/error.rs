//! What the host reports, as the errors of sqlx.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};
use sqlx_core::error::{DatabaseError as CoreDatabaseError, Error, ErrorKind};

use crate::sqlx::bindings as sql;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseError {
    message: String,
    kind: Kind,
    code: Option<String>,
    constraint: Option<String>,
    table: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    UniqueViolation,
    ForeignKeyViolation,
    NotNullViolation,
    CheckViolation,
    Other,
}

impl DatabaseError {
    /// The error of another driver, as far as it has parts that this one has.
    pub(in crate::sqlx) fn from_other(error: &dyn CoreDatabaseError) -> Self {
        Self {
            message: error.message().to_owned(),
            kind: match error.kind() {
                ErrorKind::UniqueViolation => Kind::UniqueViolation,
                ErrorKind::ForeignKeyViolation => Kind::ForeignKeyViolation,
                ErrorKind::NotNullViolation => Kind::NotNullViolation,
                ErrorKind::CheckViolation => Kind::CheckViolation,
                _ => Kind::Other,
            },
            code: error.code().map(Cow::into_owned),
            constraint: error.constraint().map(str::to_owned),
            table: error.table().map(str::to_owned),
        }
    }

    #[cfg(test)]
    pub(in crate::sqlx) fn example() -> Self {
        Self {
            message: "duplicate key value".into(),
            kind: Kind::UniqueViolation,
            code: Some("23505".into()),
            constraint: Some("step_pkey".into()),
            table: Some("step".into()),
        }
    }
}

impl From<sql::DatabaseError> for DatabaseError {
    fn from(error: sql::DatabaseError) -> Self {
        Self {
            message: error.message,
            kind: match error.kind {
                sql::DatabaseErrorKind::UniqueViolation => Kind::UniqueViolation,
                sql::DatabaseErrorKind::ForeignKeyViolation => Kind::ForeignKeyViolation,
                sql::DatabaseErrorKind::NotNullViolation => Kind::NotNullViolation,
                sql::DatabaseErrorKind::CheckViolation => Kind::CheckViolation,
                sql::DatabaseErrorKind::Other => Kind::Other,
            },
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
            Kind::UniqueViolation => ErrorKind::UniqueViolation,
            Kind::ForeignKeyViolation => ErrorKind::ForeignKeyViolation,
            Kind::NotNullViolation => ErrorKind::NotNullViolation,
            Kind::CheckViolation => ErrorKind::CheckViolation,
            Kind::Other => ErrorKind::Other,
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
