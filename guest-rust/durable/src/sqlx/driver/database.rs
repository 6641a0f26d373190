//! The database as a type.

use serde::{Deserialize, Serialize};
use sqlx_core::database::{Database, HasStatementCache};

use super::{Arguments, Column, Connection, Row, Statement, TransactionManager, TypeInfo, Value};

/// The workflow's own database: the one that holds its journal.
#[derive(Debug)]
pub struct Durable;

impl Database for Durable {
    type Connection = Connection;
    type TransactionManager = TransactionManager;
    type Row = Row;
    type QueryResult = QueryResult;
    type Column = Column;
    type TypeInfo = TypeInfo;
    type Value = Value;
    type ValueRef<'r> = &'r Value;
    type Arguments<'q> = Arguments;
    type ArgumentBuffer<'q> = Vec<Value>;
    type Statement<'q> = Statement<'q>;

    const NAME: &'static str = "Durable";
    const URL_SCHEMES: &'static [&'static str] = &["durable"];
}

impl HasStatementCache for Durable {}

/// What a statement did that returned no rows, or after its last row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryResult {
    rows_affected: u64,
}

impl QueryResult {
    pub(super) fn new(rows_affected: u64) -> Self {
        Self { rows_affected }
    }

    /// How many rows were inserted, changed, deleted or read.
    pub fn rows_affected(&self) -> u64 {
        self.rows_affected
    }
}

impl Extend<Self> for QueryResult {
    fn extend<I: IntoIterator<Item = Self>>(&mut self, results: I) {
        for result in results {
            self.rows_affected += result.rows_affected;
        }
    }
}
