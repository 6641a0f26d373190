//! Statements on their way to the host, and its answers on their way back.

use sqlx_core::error::{BoxDynError, Error};
use sqlx_core::executor::Execute;
use sqlx_core::Either;

use super::{Arguments, Durable, QueryResult, Row, Value};
use crate::sqlx::bindings::durable::core::sql;

/// How many rows the host is to send.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    Count,
    One,
    All,
}

/// A statement with its parameters.
///
/// It is not generic, unlike what sqlx passes to a driver: what follows is
/// compiled once.
pub(super) struct Query<'q> {
    sql: &'q str,
    arguments: Result<Option<Arguments>, BoxDynError>,
    persistent: bool,
}

impl<'q> Query<'q> {
    pub(super) fn new<E: Execute<'q, Durable>>(mut query: E) -> Self {
        Self {
            arguments: query.take_arguments(),
            sql: query.sql(),
            persistent: query.persistent(),
        }
    }

    /// Run a statement of the driver's own.
    pub(super) fn run(sql: &str) -> Result<(), Error> {
        let query = Query {
            sql,
            arguments: Ok(None),
            persistent: true,
        };
        query.execute().map(|_| ())
    }

    pub(super) fn execute(self) -> Result<QueryResult, Error> {
        self.start(Limit::Count)?;
        let mut total = QueryResult::default();
        for result in Results::Started {
            if let Either::Left(count) = result? {
                total.extend([count]);
            }
        }
        Ok(total)
    }

    /// The first row. The rest is dropped by the host.
    pub(super) fn fetch_optional(self) -> Result<Option<Row>, Error> {
        self.start(Limit::One)?;
        for result in Results::Started {
            if let Either::Right(row) = result? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Rows as they are asked for, and then their count.
    pub(super) fn fetch_many(self) -> Results<'q> {
        Results::NotStarted(self)
    }

    /// Rows as they are asked for.
    pub(super) fn fetch(self) -> Rows<'q> {
        Rows(self.fetch_many())
    }

    fn start(self, limit: Limit) -> Result<(), Error> {
        let arguments = self.arguments.map_err(Error::Encode)?.unwrap_or_default();
        let parameters = arguments.into_values().into_iter().map(Value::into_host);
        let options = sql::Options {
            limit: match limit {
                Limit::Count => 0,
                Limit::One => 1,
                Limit::All => 2,
            },
            persistent: self.persistent,
        };
        sql::query(self.sql, parameters.collect(), options);
        Ok(())
    }
}

/// The results of a statement, which is sent when the first one is asked for.
pub(super) enum Results<'q> {
    NotStarted(Query<'q>),
    Started,
    Done,
}

impl Iterator for Results<'_> {
    type Item = Result<Either<QueryResult, Row>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(self, Self::Started) {
            Self::NotStarted(query) => {
                if let Err(error) = query.start(Limit::All) {
                    *self = Self::Done;
                    return Some(Err(error));
                }
            }
            Self::Started => {}
            Self::Done => {
                *self = Self::Done;
                return None;
            }
        }
        match sql::fetch() {
            Some(Ok(sql::QueryResult::Row(row))) => Some(Ok(Either::Right(Row::new(row)))),
            Some(Ok(sql::QueryResult::Count(count))) => {
                *self = Self::Done;
                Some(Ok(Either::Left(QueryResult::new(count))))
            }
            // There may be more: an error of one column does not end the rows.
            Some(Err(error)) => Some(Err(error.into())),
            None => {
                *self = Self::Done;
                None
            }
        }
    }
}

/// The rows of a statement.
pub(super) struct Rows<'q>(Results<'q>);

impl Iterator for Rows<'_> {
    type Item = Result<Row, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.0.next()? {
                Ok(Either::Right(row)) => return Some(Ok(row)),
                Ok(Either::Left(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
