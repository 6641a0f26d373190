//! Types of the database.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::Error;

/// A type of the database.
///
/// Unlike the host's own handle of a type it can be used in any transaction
/// and outside of one, so it may be kept in a `static`. It can also be the
/// result of a transaction.
#[derive(Clone)]
pub struct TypeInfo(Repr);

#[derive(Clone)]
enum Repr {
    BuiltIn(&'static BuiltIn),
    Other(Arc<Other>),
}

/// A type for which the host has a function: no need to ask for it before it
/// is used.
struct BuiltIn {
    name: &'static str,
    host: fn() -> sql::TypeInfo,
}

struct Other {
    name: String,
    /// What the host makes its own handle of the type from.
    json: Box<RawValue>,
}

macro_rules! built_in {
    ($($function:ident $name:literal)*) => {$(
        #[doc = concat!("The type `", $name, "`.")]
        pub fn $function() -> Self {
            static BUILT_IN: BuiltIn = BuiltIn {
                name: $name,
                host: sql::TypeInfo::$function,
            };
            Self(Repr::BuiltIn(&BUILT_IN))
        }
    )*};
}

impl TypeInfo {
    /// Look a type up in the database by its name, an enum for example.
    ///
    /// The name may have a schema (`app.mood`), and brackets for the array
    /// type (`mood[]`).
    ///
    /// To be called within a transaction for SQL. The result can be kept.
    ///
    /// # Errors
    ///
    /// [`Error::TypeNotFound`] if there is no such type.
    pub fn with_name(name: &str) -> Result<Self, Error> {
        match sql::TypeInfo::with_name(name) {
            Ok(host) => Ok(Self::from_host(&host, name.to_owned())),
            Err(_) => Err(Error::TypeNotFound {
                type_name: name.to_owned(),
            }),
        }
    }

    built_in! {
        boolean "boolean"
        float4 "real"
        float8 "double precision"
        int1 "\"char\""
        int2 "smallint"
        int4 "integer"
        int8 "bigint"
        text "text"
        bytea "bytea"
        timestamptz "timestamp with time zone"
        timestamp "timestamp without time zone"
        uuid "uuid"
        jsonb "jsonb"
        inet "inet"
        boolean_array "boolean[]"
        float4_array "real[]"
        float8_array "double precision[]"
        int1_array "\"char\"[]"
        int2_array "smallint[]"
        int4_array "integer[]"
        int8_array "bigint[]"
        text_array "text[]"
        bytea_array "bytea[]"
        timestamptz_array "timestamp with time zone[]"
        timestamp_array "timestamp without time zone[]"
        uuid_array "uuid[]"
        jsonb_array "jsonb[]"
        inet_array "inet[]"
    }

    /// The name of the type: as it was looked up, or as the database has it.
    pub fn name(&self) -> &str {
        match &self.0 {
            Repr::BuiltIn(built_in) => built_in.name,
            Repr::Other(other) => &other.name,
        }
    }

    /// Whether reading a value as this type needs no check of its type,
    /// because the host gives it out as no other type.
    pub(super) fn is_built_in(&self) -> bool {
        matches!(self.0, Repr::BuiltIn(_))
    }

    /// What the host says the type of a value is.
    pub(super) fn of(value: &sql::Value) -> Self {
        let host = value.type_info();
        let name = host.name();
        Self::from_host(&host, name)
    }

    fn from_host(host: &sql::TypeInfo, name: String) -> Self {
        let json = to_json(host.serialize()).unwrap_or_else(|error| panic!("{error}"));
        Self(Repr::Other(Arc::new(Other { name, json })))
    }

    /// The host's own handle, which is good for the current transaction.
    pub(super) fn to_host(&self) -> sql::TypeInfo {
        match &self.0 {
            Repr::BuiltIn(built_in) => (built_in.host)(),
            Repr::Other(other) => {
                sql::TypeInfo::deserialize(other.json.get()).unwrap_or_else(|error| {
                    panic!("the host knows the type {} no more: {error}", self.name())
                })
            }
        }
    }
}

/// What the host serialized, to be put into a larger JSON text.
pub(super) fn to_json(serialized: Result<String, String>) -> Result<Box<RawValue>, String> {
    RawValue::from_string(serialized?).map_err(|error| error.to_string())
}

impl sqlx_core::type_info::TypeInfo for TypeInfo {
    fn is_null(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn type_compatible(&self, other: &Self) -> bool {
        self == other || self.to_host().compatible(&other.to_host())
    }
}

impl PartialEq for TypeInfo {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::BuiltIn(a), Repr::BuiltIn(b)) => a.name == b.name,
            (Repr::Other(a), Repr::Other(b)) if a.json.get() == b.json.get() => true,
            _ => self.to_host().equal(&other.to_host()),
        }
    }
}

impl fmt::Display for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypeInfo({})", self.name())
    }
}

/// In the host's form: other programs may read it.
impl Serialize for TypeInfo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Repr::BuiltIn(built_in) => to_json((built_in.host)().serialize())
                .map_err(serde::ser::Error::custom)?
                .serialize(to),
            Repr::Other(other) => other.json.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for TypeInfo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(from)?;
        let host = sql::TypeInfo::deserialize(json.get()).map_err(serde::de::Error::custom)?;
        let name = host.name();
        Ok(Self(Repr::Other(Arc::new(Other { name, json }))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_the_host_has_functions_for_are_compared_without_it() {
        assert_eq!(TypeInfo::int8(), TypeInfo::int8());
        assert_ne!(TypeInfo::int8(), TypeInfo::int8_array());
        assert_eq!(TypeInfo::int1().to_string(), "\"char\"");
    }

    #[test]
    fn a_type_can_be_kept_in_a_static() {
        static KEPT: std::sync::OnceLock<TypeInfo> = std::sync::OnceLock::new();
        assert_eq!(*KEPT.get_or_init(TypeInfo::text), TypeInfo::text());
    }
}
