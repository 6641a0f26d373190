//! SQL on the workflow's own database, exactly once. (Needs the feature
//! `sqlx`.)
//!
//! ```no_run
//! use durable::sqlx;
//!
//! let order = durable::task().id();
//! let left: i32 = sqlx::transaction("take from stock", |mut conn| -> sqlx::Result<i32> {
//!     sqlx::query("INSERT INTO app.order_line (order_id, item) VALUES ($1, $2)")
//!         .bind(order)
//!         .bind("bicycle")
//!         .execute(&mut conn)?;
//!     sqlx::query_scalar("UPDATE app.stock SET left = left - 1 WHERE item = $1 RETURNING left")
//!         .bind("bicycle")
//!         .fetch_one(&mut conn)
//! })?;
//! println!("{left} left");
//! # Ok::<_, sqlx::Error>(())
//! ```
//!
//! The journal and the application share a database. So what [`transaction()`]
//! does to the database and the record that it was done are committed
//! together, or not at all: however often the machine dies, the order above has
//! one line, and the stock has one bicycle less.
//!
//! This is a driver for [sqlx 0.8](https://docs.rs/sqlx/0.8). The functions
//! are those of sqlx, except that they block instead of being async: there is
//! nothing that a workflow could do meanwhile.
//!
//! # Errors
//!
//! A query that the database refuses is an [`Error`], which can be the result
//! of the transaction. After it the database takes no further statements in
//! the same transaction, and nothing of it takes effect. To try something and
//! go on if it fails, make a savepoint: [`Connection::begin`].
//!
//! If no statement failed, what the transaction did is committed, whatever it
//! returns, also if that is an error of your own. It is not if it panics.
//!
//! # Types
//!
//! | Rust | PostgreSQL |
//! |---|---|
//! | `bool` | `boolean` |
//! | `i8` | `"char"` |
//! | `i16`, `i32`, `i64` | `smallint`, `integer`, `bigint` |
//! | `f32`, `f64` | `real`, `double precision` |
//! | `&str`, `String`, `Cow<str>`, `Box<str>` | `text`, also read from `varchar`, `char(n)`, `name`, `citext` and enums |
//! | `&[u8]`, `Vec<u8>`, `[u8; N]` | `bytea` |
//! | `SystemTime` | `timestamp with time zone` |
//! | `IpAddr` | `inet` with a single address |
//! | `DateTime<Utc>`, `DateTime<FixedOffset>`, `DateTime<Local>` of chrono (feature `sqlx-chrono`) | `timestamp with time zone` |
//! | `NaiveDateTime` of chrono (feature `sqlx-chrono`) | `timestamp without time zone` |
//! | `Uuid` (feature `sqlx-uuid`) | `uuid` |
//! | `Json<T>`, `JsonValue`, `JsonRawValue` (feature `sqlx-json`) | `jsonb`, also read from `json` |
//! | `IpNetwork` (feature `sqlx-ipnetwork`) | `inet` |
//! | `Vec<T>`, `&[T]`, `[T; N]` of these | an array of one dimension |
//! | `Option<T>` of these | the same, or NULL |
//!
//! The host knows no other types. Have the database convert them:
//! `SELECT price::text`, `VALUES ($1::numeric)`. For an enum of the application
//! implement [`Type`], [`Encode`] and [`Decode`] as [`driver`] shows.
//!
//! # Derives
//!
//! With `sqlx = { version = "0.8", default-features = false, features =
//! ["derive"] }` as a dependency of your own you have sqlx's derives. They
//! work with this driver as far as they are not made for one of sqlx's own:
//!
//! * `#[derive(sqlx::FromRow)]` does.
//! * `#[derive(sqlx::Type)]` does on a struct with one field, with
//!   `#[sqlx(transparent)]`, and on an enum that is stored as a number, with
//!   `#[repr(i32)]`; so do `sqlx::Encode` and `sqlx::Decode`.
//! * `#[derive(sqlx::Type)]` does not on an enum that is stored by its name, or
//!   on a struct with several fields (a composite type).
//!
//! # Checked queries
//!
//! With the feature `sqlx-macros` the macros `query!`, `query_as!` and
//! `query_scalar!` check a query when the workflow is built.
//! (`sqlx-full` is all features together.)

#[cfg(feature = "sqlx-macros")]
#[doc(hidden)]
#[allow(missing_docs)]
#[path = "macros.rs"]
pub mod __macros;
#[allow(missing_docs)]
mod bindings;
mod blocking;
pub mod driver;
pub mod error;
mod query;

use serde::de::DeserializeOwned;
use serde::Serialize;

#[cfg(feature = "sqlx-macros")]
#[doc(inline)]
pub use durable_macros::{
    query, query_as, query_as_unchecked, query_file, query_file_as, query_file_as_unchecked,
    query_file_scalar, query_file_scalar_unchecked, query_file_unchecked, query_scalar,
    query_scalar_unchecked, query_unchecked,
};
#[doc(no_inline)]
pub use sqlx_core::{
    arguments::IntoArguments,
    column::ColumnIndex,
    database::Database,
    decode::{self, Decode},
    encode::{self, Encode},
    executor::Executor,
    from_row::FromRow,
    types::Type,
};

#[doc(inline)]
pub use self::driver::{Connection, Transaction};
#[doc(inline)]
pub use self::error::{Error, Result};
pub use self::query::{
    query, query_as, query_as_with, query_scalar, query_scalar_with, query_with, Map, Query,
    QueryAs, QueryScalar,
};

/// Types of other crates that stand for types of the database.
pub mod types {
    #[cfg(feature = "sqlx-chrono")]
    pub use sqlx_core::types::chrono;
    #[cfg(feature = "sqlx-ipnetwork")]
    pub use sqlx_core::types::ipnetwork;
    pub use sqlx_core::types::Text;
    #[cfg(feature = "sqlx-uuid")]
    pub use sqlx_core::types::{uuid, Uuid};
    #[cfg(feature = "sqlx-json")]
    pub use sqlx_core::types::{Json, JsonRawValue, JsonValue};
}

/// Run `f` once and for all in a transaction of the database, and record what
/// it returns.
///
/// This is [`durable::transaction`](crate::transaction) with a connection. What
/// `f` does to the database and the record are committed together. The
/// database may have to be tried again, after a lost connection or a deadlock,
/// for example: then `f` runs again from the start, with nothing left of what
/// it did before, so it should do nothing but SQL.
///
/// A [`Row`](driver::Row) or a [`Value`](driver::Value) can be the result. What
/// is not part of the result cannot be used after the transaction: the task
/// would be ended.
///
/// ```no_run
/// use durable::sqlx;
///
/// let row = sqlx::transaction("newest customer", |mut conn| {
///     sqlx::query("SELECT id, name FROM customer ORDER BY id DESC").fetch_one(&mut conn)
/// })?;
/// println!("{}: {}", row.get::<i64, _>("id"), row.get::<String, _>("name"));
/// # Ok::<_, sqlx::Error>(())
/// ```
///
/// # Panics
///
/// If `f` panics, nothing that it did takes effect; the panic is recorded, and
/// panics with the same message on every run. It also panics within another
/// transaction, and if the recorded value cannot be read as a `T`.
#[track_caller]
pub fn transaction<T, F>(label: &str, f: F) -> T
where
    T: Serialize + DeserializeOwned,
    F: FnOnce(Connection) -> T,
{
    crate::transaction::run(label, Some(driver::roll_back_all), || f(Connection::new()))
}
