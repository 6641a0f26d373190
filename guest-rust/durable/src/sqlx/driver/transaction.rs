//! Transactions within the transaction: savepoints.

use std::borrow::Cow;
use std::fmt;
use std::future::ready;
use std::ops::{Deref, DerefMut};

use futures_core::future::BoxFuture;
use sqlx_core::error::Error;

use super::fetch::Query;
use super::{Connection, Durable};

/// A savepoint, made by [`Connection::begin`].
///
/// What happens behind it is kept by [`commit`](Self::commit), and undone by
/// [`rollback`](Self::rollback) or when this is dropped. It is used like a
/// connection: queries are executed on `&mut savepoint`, and
/// `savepoint.begin()` makes another one behind it.
///
/// What was committed is durable as soon as the whole
/// [`transaction`](crate::sqlx::transaction) is.
#[must_use = "a savepoint is rolled back when it is dropped"]
pub struct Transaction<'c> {
    connection: &'c mut Connection,
    open: bool,
}

impl<'c> Transaction<'c> {
    pub(super) fn begin(connection: &'c mut Connection) -> Result<Self, Error> {
        connection.open_savepoint()?;
        Ok(Self {
            connection,
            open: true,
        })
    }

    /// Keep what happened since the savepoint.
    ///
    /// # Errors
    ///
    /// If a statement has failed since: then it is rolled back instead.
    pub fn commit(mut self) -> crate::sqlx::Result<()> {
        self.connection.release_savepoint()?;
        self.open = false;
        Ok(())
    }

    /// Undo what happened since the savepoint.
    ///
    /// # Errors
    ///
    /// If the database is lost.
    pub fn rollback(mut self) -> crate::sqlx::Result<()> {
        self.open = false;
        Ok(self.connection.roll_back_savepoint()?)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // If this fails, so does whatever comes next.
            let _ = self.connection.roll_back_savepoint();
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection
    }
}

impl AsMut<Connection> for Transaction<'_> {
    fn as_mut(&mut self) -> &mut Connection {
        self.connection
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transaction(..)")
    }
}

impl Connection {
    fn open_savepoint(&mut self) -> Result<(), Error> {
        Query::run(&format!("SAVEPOINT workflow_{}", self.depth + 1))?;
        self.depth += 1;
        Ok(())
    }

    fn release_savepoint(&mut self) -> Result<(), Error> {
        Query::run(&format!("RELEASE SAVEPOINT workflow_{}", self.depth))?;
        self.depth -= 1;
        Ok(())
    }

    fn roll_back_savepoint(&mut self) -> Result<(), Error> {
        let depth = self.depth;
        self.depth -= 1;
        Query::run(&format!("ROLLBACK TO SAVEPOINT workflow_{depth}"))?;
        // It is still there, and the database would nest the next one in it.
        Query::run(&format!("RELEASE SAVEPOINT workflow_{depth}"))
    }
}

/// See to it that nothing of the open transaction takes effect, whatever
/// happened in it and whatever is recorded as its result.
pub(in crate::sqlx) fn roll_back_all() {
    // After an error the database takes nothing more and commits nothing.
    let _ = Query::run("SELECT 1/0 AS \"the workflow panicked, so this transaction must fail\"");
}

/// Savepoints as sqlx asks for them.
pub struct TransactionManager;

impl sqlx_core::transaction::TransactionManager for TransactionManager {
    type Database = Durable;

    fn begin<'conn>(
        connection: &'conn mut Connection,
        statement: Option<Cow<'static, str>>,
    ) -> BoxFuture<'conn, Result<(), Error>> {
        Box::pin(ready(match statement {
            None => connection.open_savepoint(),
            // As sqlx has it: only a whole transaction has a statement of its own.
            Some(_) => Err(Error::InvalidSavePointStatement),
        }))
    }

    fn commit(connection: &mut Connection) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(connection.release_savepoint()))
    }

    fn rollback(connection: &mut Connection) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(connection.roll_back_savepoint()))
    }

    fn start_rollback(connection: &mut Connection) {
        let _ = connection.roll_back_savepoint();
    }

    fn get_transaction_depth(connection: &Connection) -> usize {
        connection.depth
    }
}
