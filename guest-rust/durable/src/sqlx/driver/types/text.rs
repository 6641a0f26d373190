//! Text, which in the database may also be a `varchar`, a `name` or the label
//! of an enum.

use std::borrow::Cow;

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

impl Type<Durable> for str {
    fn type_info() -> TypeInfo {
        TypeInfo::text()
    }
}

impl<'q> Encode<'q, Durable> for &'q str {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::text(self)));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for &'r str {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        value.read_str::<str>()
    }
}

macro_rules! owned_text {
    ($($rust:ty)*) => {$(
        impl Type<Durable> for $rust {
            fn type_info() -> TypeInfo {
                TypeInfo::text()
            }
        }

        impl<'q> Encode<'q, Durable> for $rust {
            fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
                buffer.push(Value::new(sql::Value::text(self)));
                Ok(IsNull::No)
            }
        }

        impl<'r> Decode<'r, Durable> for $rust {
            fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
                value.read::<Self, _>(sql::Value::as_text).map(Self::from)
            }
        }
    )*};
}

owned_text!(String Box<str> Cow<'_, str>);

impl Element for String {
    fn array_type_info() -> TypeInfo {
        TypeInfo::text_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        Ok(Value::new(sql::Value::text_array(elements)))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        value.read::<Vec<Self>, _>(sql::Value::as_text_array)
    }
}
