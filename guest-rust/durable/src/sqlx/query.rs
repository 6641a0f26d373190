//! Queries, and the ways to run them.

use std::marker::PhantomData;

use sqlx_core::error::{BoxDynError, Error as CoreError};
use sqlx_core::query::{self as core, Query as CoreQuery};

use super::blocking::{block_on, Iter};
use super::driver::{Arguments, Durable, QueryResult, Row};
use super::{Encode, Error, Executor, FromRow, IntoArguments, Result, Type};

/// A query whose rows are read column by column.
///
/// It is one statement, of any kind. The host prepares it and keeps it
/// prepared. Parameters are `$1`, `$2` and so on, and are bound in their order:
///
/// ```no_run
/// use durable::sqlx;
///
/// let name = sqlx::transaction("rename", |mut conn| -> sqlx::Result<String> {
///     let row = sqlx::query("UPDATE customer SET name = upper(name) WHERE id = $1 RETURNING name")
///         .bind(17_i64)
///         .fetch_one(&mut conn)?;
///     Ok(row.get("name"))
/// })?;
/// # Ok::<_, sqlx::Error>(())
/// ```
///
/// Never put what somebody typed into the text of the statement: bind it.
pub fn query(sql: &str) -> Query<'_, Arguments> {
    Query(core::query(sql))
}

/// A query like that of [`query()`], with its parameters already at hand.
pub fn query_with<'q, A>(sql: &'q str, arguments: A) -> Query<'q, A>
where
    A: IntoArguments<'q, Durable>,
{
    Query(core::query_with(sql, arguments))
}

/// A query whose rows are read as values of `O`: a tuple, or a struct that
/// implements [`FromRow`].
///
/// ```no_run
/// use durable::sqlx;
///
/// let cities = sqlx::transaction("cities", |mut conn| {
///     sqlx::query_as::<(String, i64)>("SELECT city, count(*) FROM customer GROUP BY city")
///         .fetch_all(&mut conn)
/// })?;
/// for (city, customers) in cities {
///     println!("{city}: {customers}");
/// }
/// # Ok::<_, sqlx::Error>(())
/// ```
pub fn query_as<O>(sql: &str) -> QueryAs<'_, O, Arguments>
where
    O: for<'r> FromRow<'r, Row>,
{
    QueryAs {
        query: query(sql),
        output: PhantomData,
    }
}

/// A query like that of [`query_as`], with its parameters already at hand.
pub fn query_as_with<'q, O, A>(sql: &'q str, arguments: A) -> QueryAs<'q, O, A>
where
    O: for<'r> FromRow<'r, Row>,
    A: IntoArguments<'q, Durable>,
{
    QueryAs {
        query: query_with(sql, arguments),
        output: PhantomData,
    }
}

/// A query of whose rows the first column is read.
///
/// ```no_run
/// use durable::sqlx;
///
/// let customers: i64 = sqlx::transaction("customers", |mut conn| {
///     sqlx::query_scalar("SELECT count(*) FROM customer").fetch_one(&mut conn)
/// })?;
/// # Ok::<_, sqlx::Error>(())
/// ```
pub fn query_scalar<O>(sql: &str) -> QueryScalar<'_, O, Arguments>
where
    (O,): for<'r> FromRow<'r, Row>,
{
    QueryScalar {
        query: query(sql),
        output: PhantomData,
    }
}

/// A query like that of [`query_scalar`], with its parameters already at hand.
pub fn query_scalar_with<'q, O, A>(sql: &'q str, arguments: A) -> QueryScalar<'q, O, A>
where
    (O,): for<'r> FromRow<'r, Row>,
    A: IntoArguments<'q, Durable>,
{
    QueryScalar {
        query: query_with(sql, arguments),
        output: PhantomData,
    }
}

/// A query whose rows are read column by column. Made by [`query()`].
#[must_use = "a query does nothing until it is run"]
pub struct Query<'q, A>(pub(super) CoreQuery<'q, Durable, A>);

/// A query whose rows are read by a function. Made by [`Query::map`] and
/// [`Query::try_map`].
#[must_use = "a query does nothing until it is run"]
pub struct Map<'q, F, A> {
    query: Query<'q, A>,
    mapper: F,
}

/// A query whose rows are read as values of `O`. Made by [`query_as`].
#[must_use = "a query does nothing until it is run"]
pub struct QueryAs<'q, O, A> {
    query: Query<'q, A>,
    output: PhantomData<fn() -> O>,
}

/// A query of whose rows the first column is read. Made by [`query_scalar`].
#[must_use = "a query does nothing until it is run"]
pub struct QueryScalar<'q, O, A> {
    pub(super) query: Query<'q, A>,
    pub(super) output: PhantomData<fn() -> O>,
}

impl<'q> Query<'q, Arguments> {
    /// Bind the next parameter.
    ///
    /// What it is for the database is decided by its Rust type: an `i32` is an
    /// `integer`, also where `bigint` is asked for. A value that cannot be
    /// encoded is an error of the query when it is run.
    pub fn bind<T>(self, value: T) -> Self
    where
        T: 'q + Encode<'q, Durable> + Type<Durable>,
    {
        Self(self.0.bind(value))
    }

    /// Bind the next parameter.
    ///
    /// # Errors
    ///
    /// If the value cannot be encoded.
    pub fn try_bind<T>(&mut self, value: T) -> Result<(), BoxDynError>
    where
        T: 'q + Encode<'q, Durable> + Type<Durable>,
    {
        self.0.try_bind(value)
    }
}

impl<'q, A> Query<'q, A>
where
    A: 'q + IntoArguments<'q, Durable>,
{
    /// Whether the host is to keep the statement prepared, which it does unless
    /// told otherwise. It should not if the text is another one each time.
    pub fn persistent(self, persistent: bool) -> Self {
        Self(self.0.persistent(persistent))
    }

    /// Make something else of each row.
    pub fn map<F, O>(self, mut f: F) -> Map<'q, impl FnMut(Row) -> Result<O, CoreError>, A>
    where
        F: FnMut(Row) -> O,
    {
        self.try_map(move |row| Ok(f(row)))
    }

    /// Make something else of each row, which may fail. The error is that of
    /// sqlx, which [`Row::try_get`] has too.
    pub fn try_map<F, O>(self, f: F) -> Map<'q, F, A>
    where
        F: FnMut(Row) -> Result<O, CoreError>,
    {
        Map {
            query: self,
            mapper: f,
        }
    }

    /// Run the statement, without its rows.
    ///
    /// # Errors
    ///
    /// If the database refuses the statement or a value cannot be encoded.
    pub fn execute<'e, 'c: 'e, E>(self, executor: E) -> Result<QueryResult>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        Ok(block_on(executor.execute(self.0))?)
    }

    /// Run the query and read its rows one after the other, however many there
    /// are: they are fetched as they are asked for. The next statement on the
    /// connection ends it.
    pub fn fetch<'e, 'c: 'e, E>(self, executor: E) -> impl Iterator<Item = Result<Row>> + 'e
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        Iter(executor.fetch(self.0)).map(|row| Ok(row?))
    }

    /// Run the query and read all its rows.
    ///
    /// # Errors
    ///
    /// If the database refuses the query or a value cannot be encoded or read.
    pub fn fetch_all<'e, 'c: 'e, E>(self, executor: E) -> Result<Vec<Row>>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        Ok(block_on(executor.fetch_all(self.0))?)
    }

    /// Run the query and read its first row.
    ///
    /// # Errors
    ///
    /// [`Error::RowNotFound`] if there is none, and as [`fetch_all`](Self::fetch_all).
    pub fn fetch_one<'e, 'c: 'e, E>(self, executor: E) -> Result<Row>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        self.fetch_optional(executor)?.ok_or(Error::RowNotFound)
    }

    /// Run the query and read its first row, if there is one.
    ///
    /// # Errors
    ///
    /// As [`fetch_all`](Self::fetch_all).
    pub fn fetch_optional<'e, 'c: 'e, E>(self, executor: E) -> Result<Option<Row>>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        Ok(block_on(executor.fetch_optional(self.0))?)
    }
}

impl<'q, F, O, A> Map<'q, F, A>
where
    F: FnMut(Row) -> Result<O, CoreError>,
    A: 'q + IntoArguments<'q, Durable>,
{
    /// Make something else of what was made of each row.
    pub fn map<G, P>(self, mut g: G) -> Map<'q, impl FnMut(Row) -> Result<P, CoreError>, A>
    where
        G: FnMut(O) -> P,
    {
        self.try_map(move |value| Ok(g(value)))
    }

    /// Make something else of what was made of each row, which may fail.
    pub fn try_map<G, P>(self, mut g: G) -> Map<'q, impl FnMut(Row) -> Result<P, CoreError>, A>
    where
        G: FnMut(O) -> Result<P, CoreError>,
    {
        let Self { query, mut mapper } = self;
        query.try_map(move |row| mapper(row).and_then(&mut g))
    }

    /// Run the query and read its rows one after the other. See
    /// [`Query::fetch`].
    pub fn fetch<'e, 'c: 'e, E>(mut self, executor: E) -> impl Iterator<Item = Result<O>> + 'e
    where
        'q: 'e,
        A: 'e,
        F: 'e,
        O: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        self.query
            .fetch(executor)
            .map(move |row| Ok((self.mapper)(row?)?))
    }

    /// Run the query and read all its rows. See [`Query::fetch_all`].
    ///
    /// # Errors
    ///
    /// If the database refuses the query or a value cannot be encoded or read.
    pub fn fetch_all<'e, 'c: 'e, E>(self, executor: E) -> Result<Vec<O>>
    where
        'q: 'e,
        A: 'e,
        F: 'e,
        O: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        self.fetch(executor).collect()
    }

    /// Run the query and read its first row. See [`Query::fetch_one`].
    ///
    /// # Errors
    ///
    /// [`Error::RowNotFound`] if there is none, and as [`fetch_all`](Self::fetch_all).
    pub fn fetch_one<'e, 'c: 'e, E>(self, executor: E) -> Result<O>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        self.fetch_optional(executor)?.ok_or(Error::RowNotFound)
    }

    /// Run the query and read its first row, if there is one.
    ///
    /// # Errors
    ///
    /// As [`fetch_all`](Self::fetch_all).
    pub fn fetch_optional<'e, 'c: 'e, E>(mut self, executor: E) -> Result<Option<O>>
    where
        'q: 'e,
        A: 'e,
        E: 'e + Executor<'c, Database = Durable>,
    {
        match self.query.fetch_optional(executor)? {
            Some(row) => Ok(Some((self.mapper)(row)?)),
            None => Ok(None),
        }
    }
}

/// The functions of a query of which each row is read as an `O`.
macro_rules! impl_output {
    ($query:ident, $row:ty, $read:ident) => {
        impl<'q, O> $query<'q, O, Arguments> {
            /// Bind the next parameter. See [`Query::bind`].
            pub fn bind<T>(mut self, value: T) -> Self
            where
                T: 'q + Encode<'q, Durable> + Type<Durable>,
            {
                self.query = self.query.bind(value);
                self
            }

            /// Bind the next parameter.
            ///
            /// # Errors
            ///
            /// If the value cannot be encoded.
            pub fn try_bind<T>(&mut self, value: T) -> Result<(), BoxDynError>
            where
                T: 'q + Encode<'q, Durable> + Type<Durable>,
            {
                self.query.try_bind(value)
            }
        }

        impl<'q, O, A> $query<'q, O, A>
        where
            $row: for<'r> FromRow<'r, Row>,
            A: 'q + IntoArguments<'q, Durable>,
        {
            /// Whether the host is to keep the statement prepared. See
            /// [`Query::persistent`].
            pub fn persistent(mut self, persistent: bool) -> Self {
                self.query = self.query.persistent(persistent);
                self
            }

            /// Make something else of what was made of each row.
            pub fn map<F, P>(self, f: F) -> Map<'q, impl FnMut(Row) -> Result<P, CoreError>, A>
            where
                F: FnMut(O) -> P,
            {
                self.query.try_map($read::<O>).map(f)
            }

            /// Make something else of what was made of each row, which may
            /// fail.
            pub fn try_map<F, P>(self, f: F) -> Map<'q, impl FnMut(Row) -> Result<P, CoreError>, A>
            where
                F: FnMut(O) -> Result<P, CoreError>,
            {
                self.query.try_map($read::<O>).try_map(f)
            }

            /// Run the query and read its rows one after the other. See
            /// [`Query::fetch`].
            pub fn fetch<'e, 'c: 'e, E>(self, executor: E) -> impl Iterator<Item = Result<O>> + 'e
            where
                'q: 'e,
                A: 'e,
                O: 'e,
                E: 'e + Executor<'c, Database = Durable>,
            {
                self.query.try_map($read::<O>).fetch(executor)
            }

            /// Run the query and read all its rows. See [`Query::fetch_all`].
            ///
            /// # Errors
            ///
            /// If the database refuses the query or a value cannot be encoded
            /// or read.
            pub fn fetch_all<'e, 'c: 'e, E>(self, executor: E) -> Result<Vec<O>>
            where
                'q: 'e,
                A: 'e,
                O: 'e,
                E: 'e + Executor<'c, Database = Durable>,
            {
                self.fetch(executor).collect()
            }

            /// Run the query and read its first row. See [`Query::fetch_one`].
            ///
            /// # Errors
            ///
            /// [`Error::RowNotFound`] if there is none, and as
            /// [`fetch_all`](Self::fetch_all).
            pub fn fetch_one<'e, 'c: 'e, E>(self, executor: E) -> Result<O>
            where
                'q: 'e,
                A: 'e,
                E: 'e + Executor<'c, Database = Durable>,
            {
                self.query.try_map($read::<O>).fetch_one(executor)
            }

            /// Run the query and read its first row, if there is one.
            ///
            /// # Errors
            ///
            /// As [`fetch_all`](Self::fetch_all).
            pub fn fetch_optional<'e, 'c: 'e, E>(self, executor: E) -> Result<Option<O>>
            where
                'q: 'e,
                A: 'e,
                E: 'e + Executor<'c, Database = Durable>,
            {
                self.query.try_map($read::<O>).fetch_optional(executor)
            }
        }
    };
}

fn read_row<O>(row: Row) -> Result<O, CoreError>
where
    O: for<'r> FromRow<'r, Row>,
{
    O::from_row(&row)
}

fn read_first<O>(row: Row) -> Result<O, CoreError>
where
    (O,): for<'r> FromRow<'r, Row>,
{
    <(O,)>::from_row(&row).map(|(value,)| value)
}

impl_output!(QueryAs, O, read_row);
impl_output!(QueryScalar, (O,), read_first);
