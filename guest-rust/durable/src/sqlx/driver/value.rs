//! Values of the database.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use sqlx_core::error::{mismatched_types, BoxDynError, UnexpectedNullError};
use sqlx_core::types::Type;

use super::type_info::to_json;
use super::{Durable, TypeInfo};
use crate::sqlx::bindings::durable::core::sql;

/// A value that was read from the database, or that is to become a parameter.
///
/// The host holds it, until the end of the transaction in which it was made.
/// It can be the result of a transaction, and can then be used after it.
pub struct Value {
    host: sql::Value,
    /// What was decoded from this value may borrow.
    borrowed: OnceLock<(Kind, Vec<u8>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Bytes,
    #[cfg(feature = "sqlx-json")]
    Json,
}

impl Value {
    pub(super) fn new(host: sql::Value) -> Self {
        Self {
            host,
            borrowed: OnceLock::new(),
        }
    }

    /// NULL as a value of the given type.
    pub fn null(type_info: &TypeInfo) -> Self {
        Self::new(sql::Value::null(type_info.to_host()))
    }

    /// A value of an enum of the application: one of its labels.
    pub fn enum_scalar(value: &str, type_info: &TypeInfo) -> Self {
        Self::new(sql::Value::enum_value(value, &type_info.to_host()))
    }

    /// An array of labels of an enum. `type_info` is the type of the array:
    /// `TypeInfo::with_name("mood[]")`.
    pub fn enum_array<S: AsRef<str>>(values: &[S], type_info: &TypeInfo) -> Self {
        let values: Vec<String> = values.iter().map(|s| s.as_ref().to_owned()).collect();
        Self::new(sql::Value::enum_array(&values, &type_info.to_host()))
    }

    /// The type of this value.
    pub fn type_info(&self) -> TypeInfo {
        TypeInfo::of(&self.host)
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        self.host.is_null()
    }

    pub(super) fn into_host(self) -> sql::Value {
        self.host
    }

    /// Have the host read this value for the type `T`, which is to be named in
    /// the error if it does not.
    pub(super) fn read<T: Type<Durable> + ?Sized, V>(
        &self,
        read: impl FnOnce(&sql::Value) -> Option<V>,
    ) -> Result<V, BoxDynError> {
        read(&self.host).ok_or_else(|| self.unreadable::<T>())
    }

    /// The text of this value, for something that borrows from it.
    pub(super) fn read_str<T: Type<Durable> + ?Sized>(&self) -> Result<&str, BoxDynError> {
        let text = |host: &sql::Value| host.as_text().map(String::into_bytes);
        Ok(std::str::from_utf8(
            self.read_borrowed::<T>(Kind::Text, text)?,
        )?)
    }

    /// The JSON text of this value, for something that borrows from it.
    #[cfg(feature = "sqlx-json")]
    pub(super) fn read_json<T: Type<Durable> + ?Sized>(&self) -> Result<&str, BoxDynError> {
        let json = |host: &sql::Value| host.as_json().map(String::into_bytes);
        Ok(std::str::from_utf8(
            self.read_borrowed::<T>(Kind::Json, json)?,
        )?)
    }

    /// The bytes of this value, for something that borrows from it.
    pub(super) fn read_bytes<T: Type<Durable> + ?Sized>(&self) -> Result<&[u8], BoxDynError> {
        self.read_borrowed::<T>(Kind::Bytes, sql::Value::as_bytea)
    }

    fn read_borrowed<T: Type<Durable> + ?Sized>(
        &self,
        kind: Kind,
        read: fn(&sql::Value) -> Option<Vec<u8>>,
    ) -> Result<&[u8], BoxDynError> {
        let (read_as, bytes) = match self.borrowed.get() {
            Some(borrowed) => borrowed,
            None => {
                let bytes = self.read::<T, _>(read)?;
                self.borrowed.get_or_init(|| (kind, bytes))
            }
        };
        // A value can be read in one way only.
        if *read_as == kind {
            Ok(bytes)
        } else {
            Err(self.unreadable::<T>())
        }
    }

    #[cold]
    fn unreadable<T: Type<Durable> + ?Sized>(&self) -> BoxDynError {
        if self.is_null() {
            UnexpectedNullError.into()
        } else {
            mismatched_types::<Durable, &T>(&self.type_info())
        }
    }
}

impl sqlx_core::value::Value for Value {
    type Database = Durable;

    fn as_ref(&self) -> &Value {
        self
    }

    fn type_info(&self) -> Cow<'_, TypeInfo> {
        Cow::Owned(self.type_info())
    }

    fn is_null(&self) -> bool {
        self.is_null()
    }
}

impl<'r> sqlx_core::value::ValueRef<'r> for &'r Value {
    type Database = Durable;

    fn to_owned(&self) -> Value {
        Value::clone(self)
    }

    fn type_info(&self) -> Cow<'_, TypeInfo> {
        Cow::Owned(Value::type_info(self))
    }

    fn is_null(&self) -> bool {
        Value::is_null(self)
    }
}

impl Clone for Value {
    fn clone(&self) -> Self {
        Self::new(self.host.clone())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to_json(self.host.serialize())
            .map_err(serde::ser::Error::custom)?
            .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(from)?;
        sql::Value::deserialize(json.get())
            .map(Self::new)
            .map_err(serde::de::Error::custom)
    }
}
