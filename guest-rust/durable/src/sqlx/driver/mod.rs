//! The driver: what sqlx needs to know about the host's database.
//!
//! Workflows need of it what their own SQL types are made with: a value of an
//! enum of the application, for example.
//!
//! ```no_run
//! use durable::sqlx::driver::{Durable, TypeInfo, Value};
//! use durable::sqlx::{encode::IsNull, error::BoxDynError, Database, Decode, Encode, Type};
//!
//! enum Mood {
//!     Happy,
//!     Sad,
//! }
//!
//! impl Type<Durable> for Mood {
//!     fn type_info() -> TypeInfo {
//!         TypeInfo::with_name("mood").expect("the type is made by the migrations")
//!     }
//! }
//!
//! impl<'q> Encode<'q, Durable> for Mood {
//!     fn encode_by_ref(
//!         &self,
//!         buffer: &mut <Durable as Database>::ArgumentBuffer<'q>,
//!     ) -> Result<IsNull, BoxDynError> {
//!         let label = match self {
//!             Self::Happy => "happy",
//!             Self::Sad => "sad",
//!         };
//!         buffer.push(Value::enum_scalar(label, &Self::type_info()));
//!         Ok(IsNull::No)
//!     }
//! }
//!
//! impl<'r> Decode<'r, Durable> for Mood {
//!     fn decode(value: <Durable as Database>::ValueRef<'r>) -> Result<Self, BoxDynError> {
//!         match <&str as Decode<Durable>>::decode(value)? {
//!             "happy" => Ok(Self::Happy),
//!             "sad" => Ok(Self::Sad),
//!             other => Err(format!("there is no mood {other:?}").into()),
//!         }
//!     }
//! }
//! ```
//!
//! [`TypeInfo::with_name`] asks the database each time. A type that is used
//! often can keep the answer, in a `static` too.
//!
//! To sqlx the driver looks like any other: the async functions of sqlx can be
//! used with a [`Connection`], and their futures are always ready at once.

mod arguments;
mod connection;
mod database;
mod error;
mod fetch;
mod row;
mod statement;
mod transaction;
mod type_info;
mod types;
mod value;

pub use self::arguments::Arguments;
pub use self::connection::{ConnectOptions, Connection};
pub use self::database::{Durable, QueryResult};
pub use self::error::DatabaseError;
pub use self::row::{Column, Row};
pub use self::statement::Statement;
pub(super) use self::transaction::roll_back_all;
pub use self::transaction::{Transaction, TransactionManager};
pub use self::type_info::TypeInfo;
pub use self::types::Element;
pub use self::value::Value;
