//! Prepared statements.

use std::borrow::Cow;

use sqlx_core::column::ColumnIndex;
use sqlx_core::error::Error;
use sqlx_core::{impl_statement_query, Either};

use super::{Arguments, Column, Durable, TypeInfo};

/// A statement that may be run several times.
///
/// The host prepares every statement on its first run and keeps it, so this is
/// only its text: nothing is known of its parameters and columns.
#[derive(Clone, Debug)]
pub struct Statement<'q> {
    sql: Cow<'q, str>,
}

impl<'q> Statement<'q> {
    pub(super) fn new(sql: &'q str) -> Self {
        Self { sql: sql.into() }
    }
}

impl<'q> sqlx_core::statement::Statement<'q> for Statement<'q> {
    type Database = Durable;

    fn to_owned(&self) -> Statement<'static> {
        Statement {
            sql: self.sql.clone().into_owned().into(),
        }
    }

    fn sql(&self) -> &str {
        &self.sql
    }

    fn parameters(&self) -> Option<Either<&[TypeInfo], usize>> {
        None
    }

    fn columns(&self) -> &[Column] {
        &[]
    }

    impl_statement_query!(Arguments);
}

impl ColumnIndex<Statement<'_>> for &str {
    fn index(&self, _: &Statement<'_>) -> Result<usize, Error> {
        Err(Error::ColumnNotFound((*self).to_owned()))
    }
}

sqlx_core::impl_column_index_for_statement!(Statement);
