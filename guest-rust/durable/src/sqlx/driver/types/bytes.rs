//! Bytes. A `Vec<u8>` is a `bytea`, not an array.

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

impl Type<Durable> for [u8] {
    fn type_info() -> TypeInfo {
        TypeInfo::bytea()
    }
}

impl<'q> Encode<'q, Durable> for &'q [u8] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::bytea(self)));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for &'r [u8] {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        value.read_bytes::<[u8]>()
    }
}

impl Type<Durable> for Vec<u8> {
    fn type_info() -> TypeInfo {
        TypeInfo::bytea()
    }
}

impl<'q> Encode<'q, Durable> for Vec<u8> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}

impl<'r> Decode<'r, Durable> for Vec<u8> {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        value.read::<Self, _>(sql::Value::as_bytea)
    }
}

impl<const N: usize> Type<Durable> for [u8; N] {
    fn type_info() -> TypeInfo {
        TypeInfo::bytea()
    }
}

impl<'q, const N: usize> Encode<'q, Durable> for [u8; N] {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(self.as_slice(), buffer)
    }
}

impl<'r, const N: usize> Decode<'r, Durable> for [u8; N] {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        let bytes = Vec::<u8>::decode(value)?;
        Self::try_from(bytes)
            .map_err(|bytes| format!("expected {N} bytes, but there are {}", bytes.len()).into())
    }
}

impl Element for Vec<u8> {
    fn array_type_info() -> TypeInfo {
        TypeInfo::bytea_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        Ok(Value::new(sql::Value::bytea_array(elements)))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        value.read::<Vec<Self>, _>(sql::Value::as_bytea_array)
    }
}
