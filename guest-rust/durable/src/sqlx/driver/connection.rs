//! The connection, and what sqlx can have executed on it.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::str::FromStr;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use sqlx_core::describe::Describe;
use sqlx_core::error::Error;
use sqlx_core::executor::{Execute, Executor};
use sqlx_core::{transaction, Either, Url};

use super::fetch::Query;
use super::transaction::Transaction;
use super::{Durable, QueryResult, Row, Statement, TypeInfo};
use crate::sqlx::blocking::Ready;

/// The connection to the database within a
/// [`transaction`](crate::sqlx::transaction).
///
/// `&mut conn` is what queries are executed on.
pub struct Connection {
    /// How many savepoints are open.
    pub(super) depth: usize,
}

impl Connection {
    pub(in crate::sqlx) fn new() -> Self {
        Self { depth: 0 }
    }

    /// Make a savepoint: what follows can be undone without undoing the rest
    /// of the transaction, also after an error.
    ///
    /// ```no_run
    /// use durable::sqlx;
    ///
    /// sqlx::transaction("reserve", |mut conn| -> sqlx::Result<()> {
    ///     let mut attempt = conn.begin()?;
    ///     let reserved = sqlx::query("INSERT INTO reservation (seat) VALUES (12)")
    ///         .execute(&mut attempt);
    ///     match reserved {
    ///         Ok(_) => attempt.commit()?,
    ///         Err(_) => attempt.rollback()?,
    ///     }
    ///     sqlx::query("INSERT INTO request (seat) VALUES (12)").execute(&mut conn)?;
    ///     Ok(())
    /// })?;
    /// # Ok::<_, sqlx::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the database refuses, because the transaction has failed before.
    pub fn begin(&mut self) -> crate::sqlx::Result<Transaction<'_>> {
        Ok(Transaction::begin(self)?)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(..)")
    }
}

impl sqlx_core::connection::Connection for Connection {
    type Database = Durable;
    type Options = ConnectOptions;

    fn close(self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn close_hard(self) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn ping(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn begin(&mut self) -> BoxFuture<'_, Result<transaction::Transaction<'_, Durable>, Error>> {
        transaction::Transaction::begin(self, None)
    }

    fn shrink_buffers(&mut self) {}

    fn flush(&mut self) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(ready(Ok(())))
    }

    fn should_flush(&self) -> bool {
        false
    }
}

macro_rules! impl_executor {
    ($executor:ty) => {
        impl<'c> Executor<'c> for &'c mut $executor {
            type Database = Durable;

            fn execute<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<QueryResult, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Durable>,
            {
                let query = Query::new(query);
                Box::pin(async { query.execute() })
            }

            fn fetch_many<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxStream<'e, Result<Either<QueryResult, Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Durable>,
            {
                Box::pin(Ready(Query::new(query).fetch_many()))
            }

            fn fetch<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Row, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Durable>,
            {
                Box::pin(Ready(Query::new(query).fetch()))
            }

            fn fetch_all<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Vec<Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Durable>,
            {
                let query = Query::new(query);
                Box::pin(async { query.fetch().collect() })
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> BoxFuture<'e, Result<Option<Row>, Error>>
            where
                'c: 'e,
                E: 'q + Execute<'q, Durable>,
            {
                let query = Query::new(query);
                Box::pin(async { query.fetch_optional() })
            }

            fn prepare_with<'e, 'q: 'e>(
                self,
                sql: &'q str,
                _parameters: &'e [TypeInfo],
            ) -> BoxFuture<'e, Result<Statement<'q>, Error>>
            where
                'c: 'e,
            {
                Box::pin(ready(Ok(Statement::new(sql))))
            }

            fn describe<'e, 'q: 'e>(
                self,
                _sql: &'q str,
            ) -> BoxFuture<'e, Result<Describe<Durable>, Error>>
            where
                'c: 'e,
            {
                Box::pin(ready(Err(Error::InvalidArgument(
                    "the host does not describe statements".into(),
                ))))
            }
        }
    };
}

impl_executor!(Connection);
impl_executor!(Transaction<'_>);

/// How to connect. There is no value of this type, because there is no other
/// connection than that of a [`transaction`](crate::sqlx::transaction).
#[derive(Clone, Debug)]
pub struct ConnectOptions(Infallible);

impl FromStr for ConnectOptions {
    type Err = Error;

    fn from_str(_: &str) -> Result<Self, Error> {
        let message = "a workflow gets its connection from durable::sqlx::transaction";
        Err(Error::Configuration(message.into()))
    }
}

impl sqlx_core::connection::ConnectOptions for ConnectOptions {
    type Connection = Connection;

    fn from_url(url: &Url) -> Result<Self, Error> {
        url.as_str().parse()
    }

    fn connect(&self) -> BoxFuture<'_, Result<Connection, Error>> {
        match self.0 {}
    }

    fn log_statements(self, _: log::LevelFilter) -> Self {
        match self.0 {}
    }

    fn log_slow_statements(self, _: log::LevelFilter, _: Duration) -> Self {
        match self.0 {}
    }
}
