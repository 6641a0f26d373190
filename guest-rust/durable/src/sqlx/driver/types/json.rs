//! JSON. Written as `jsonb`; what is read may also be `json`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::{Json, JsonValue, Type};

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

impl<T> Type<Durable> for Json<T> {
    fn type_info() -> TypeInfo {
        TypeInfo::jsonb()
    }
}

impl<'q, T: Serialize> Encode<'q, Durable> for Json<T> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        let json = serde_json::to_string(&self.0)?;
        buffer.push(Value::new(sql::Value::jsonb(&json)));
        Ok(IsNull::No)
    }
}

impl<'r, T: Deserialize<'r>> Decode<'r, Durable> for Json<T> {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(value.read_json::<Self>()?)?))
    }
}

impl Type<Durable> for Box<RawValue> {
    fn type_info() -> TypeInfo {
        TypeInfo::jsonb()
    }
}

impl<'q> Encode<'q, Durable> for Box<RawValue> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        Encode::<Durable>::encode(&**self, buffer)
    }
}

impl<'q> Encode<'q, Durable> for &RawValue {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::jsonb(self.get())));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for Box<RawValue> {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        let json = value.read::<Self, _>(sql::Value::as_json)?;
        Ok(RawValue::from_string(json)?)
    }
}

fn encode_array<T: Serialize>(elements: &[T]) -> Result<Value, BoxDynError> {
    let elements: Result<Vec<_>, _> = elements.iter().map(serde_json::to_string).collect();
    Ok(Value::new(sql::Value::jsonb_array(&elements?)))
}

impl<T: Serialize + serde::de::DeserializeOwned> Element for Json<T> {
    fn array_type_info() -> TypeInfo {
        TypeInfo::jsonb_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        encode_array(elements)
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let elements = value.read::<Vec<Self>, _>(sql::Value::as_json_array)?;
        let parse = |json: &String| Ok(serde_json::from_str(json)?);
        elements.iter().map(parse).collect()
    }
}

impl Element for JsonValue {
    fn array_type_info() -> TypeInfo {
        TypeInfo::jsonb_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        encode_array(elements)
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let elements = Json::<Self>::decode_array(value)?;
        Ok(elements.into_iter().map(|json| json.0).collect())
    }
}
