//! What the code of the macros calls. Not for other code: it may change with
//! any version.

use std::marker::PhantomData;

use sqlx_core::error::{BoxDynError, Error as CoreError};
use sqlx_core::query::query_with_result;
use sqlx_core::row::Row as _;

use super::driver::{Arguments, Durable, Row};
use super::query::{Query, QueryScalar};
use super::{Decode, Encode, FromRow, Type};

/// The parameters of a query, or why there are none.
pub struct Bound(Result<Arguments, BoxDynError>);

impl Bound {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(Ok(Arguments::default()))
    }

    pub fn add<'q, T>(&mut self, value: T)
    where
        T: Encode<'q, Durable> + Type<Durable>,
    {
        if let Ok(arguments) = &mut self.0 {
            if let Err(error) = arguments.add(value) {
                self.0 = Err(error);
            }
        }
    }
}

pub fn query(sql: &str, bound: Bound) -> Query<'_, Arguments> {
    Query(query_with_result(sql, bound.0))
}

pub fn query_scalar<O>(sql: &str, bound: Bound) -> QueryScalar<'_, O, Arguments>
where
    (O,): for<'r> FromRow<'r, Row>,
{
    QueryScalar {
        query: query(sql, bound),
        output: PhantomData,
    }
}

/// Read a column whose type was checked when the program was built.
pub fn get_unchecked<'r, T>(row: &'r Row, index: usize) -> Result<T, CoreError>
where
    T: Decode<'r, Durable>,
{
    row.try_get_unchecked(index)
}

/// Does not compile if a `T` is none for a parameter of the type `P`.
pub fn check<P, T: parameters::Parameter<P> + ?Sized>(_: &T) {}

/// Types of parameters, and what can be bound to them.
pub mod parameters {
    use std::borrow::Cow;
    use std::marker::PhantomData;
    use std::net::IpAddr;
    use std::time::SystemTime;

    /// Something that can be bound to a parameter of the type `P`.
    #[diagnostic::on_unimplemented(
        message = "a parameter of the SQL type `{P}` cannot be a `{Self}`",
        label = "has the type `{Self}`",
        note = "write the type behind the parameter in the query (`$1::bigint`), or `as _` behind the value to have \
                it bound unchecked"
    )]
    pub trait Parameter<P> {}

    impl<P, T: Parameter<P> + ?Sized> Parameter<P> for &T {}
    impl<P, T: Parameter<P>> Parameter<P> for Option<T> {}

    macro_rules! parameters {
        ($($marker:ident: $($(#[$cfg:meta])? ($($generic:tt)*) $rust:ty),*;)*) => {$(
            pub struct $marker;
            $(
                $(#[$cfg])?
                impl<$($generic)*> Parameter<$marker> for $rust {}
            )*
        )*};
    }

    parameters! {
        Boolean: () bool;
        Char: () i8;
        Smallint: () i16;
        Integer: () i32;
        Bigint: () i64;
        Real: () f32;
        DoublePrecision: () f64;
        Text: () str, () String, () Box<str>, ('a) Cow<'a, str>;
        Bytea: () [u8], () Vec<u8>, (const N: usize) [u8; N];
        TimestampWithTimeZone: () SystemTime,
            #[cfg(feature = "sqlx-chrono")] (Tz: chrono::TimeZone) chrono::DateTime<Tz>;
        TimestampWithoutTimeZone: #[cfg(feature = "sqlx-chrono")] () chrono::NaiveDateTime;
        Uuid: #[cfg(feature = "sqlx-uuid")] () uuid::Uuid;
        Jsonb: #[cfg(feature = "sqlx-json")] () serde_json::Value,
            #[cfg(feature = "sqlx-json")] () serde_json::value::RawValue,
            #[cfg(feature = "sqlx-json")] () Box<serde_json::value::RawValue>,
            #[cfg(feature = "sqlx-json")] (T) sqlx_core::types::Json<T>;
        Inet: () IpAddr,
            #[cfg(feature = "sqlx-ipnetwork")] () ipnetwork::IpNetwork;
    }

    pub struct Array<P>(PhantomData<P>);

    impl<P, T: Parameter<P>> Parameter<Array<P>> for [T] {}
    impl<P, T: Parameter<P>> Parameter<Array<P>> for Vec<T> {}
    impl<P, T: Parameter<P>, const N: usize> Parameter<Array<P>> for [T; N] {}
}
