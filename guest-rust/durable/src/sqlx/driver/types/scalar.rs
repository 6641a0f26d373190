//! Types that the host passes as they are.

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

sqlx_core::impl_encode_for_option!(Durable);

/// A Rust type whose values the host takes and gives, alone and in arrays.
macro_rules! scalar {
    ($rust:ty: $new:ident $read:ident, $new_array:ident $read_array:ident) => {
        impl Type<Durable> for $rust {
            fn type_info() -> TypeInfo {
                TypeInfo::$new()
            }
        }

        impl<'q> Encode<'q, Durable> for $rust {
            fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
                buffer.push(Value::new(sql::Value::$new(*self)));
                Ok(IsNull::No)
            }
        }

        impl<'r> Decode<'r, Durable> for $rust {
            fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
                value.read::<Self, _>(sql::Value::$read)
            }
        }

        impl Element for $rust {
            fn array_type_info() -> TypeInfo {
                TypeInfo::$new_array()
            }

            fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
                Ok(Value::new(sql::Value::$new_array(elements)))
            }

            fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
                value.read::<Vec<Self>, _>(sql::Value::$read_array)
            }
        }
    };
}

scalar!(bool: boolean as_boolean, boolean_array as_boolean_array);
scalar!(f32: float4 as_float4, float4_array as_float4_array);
scalar!(f64: float8 as_float8, float8_array as_float8_array);
scalar!(i8: int1 as_int1, int1_array as_int1_array);
scalar!(i16: int2 as_int2, int2_array as_int2_array);
scalar!(i32: int4 as_int4, int4_array as_int4_array);
scalar!(i64: int8 as_int8, int8_array as_int8_array);
