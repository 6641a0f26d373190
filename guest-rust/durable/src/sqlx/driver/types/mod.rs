//! Which Rust types stand for which types of the database.

mod array;
mod bytes;
#[cfg(feature = "sqlx-chrono")]
mod chrono;
mod inet;
#[cfg(feature = "sqlx-json")]
mod json;
mod scalar;
mod text;
mod time;
#[cfg(feature = "sqlx-uuid")]
mod uuid;

pub use self::array::Element;
