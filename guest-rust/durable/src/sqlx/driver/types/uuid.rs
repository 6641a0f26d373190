//! UUIDs.

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;
use uuid::Uuid;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

fn to_host(uuid: &Uuid) -> sql::Uuid {
    let (hi, lo) = uuid.as_u64_pair();
    sql::Uuid { hi, lo }
}

fn from_host(uuid: sql::Uuid) -> Uuid {
    Uuid::from_u64_pair(uuid.hi, uuid.lo)
}

impl Type<Durable> for Uuid {
    fn type_info() -> TypeInfo {
        TypeInfo::uuid()
    }
}

impl<'q> Encode<'q, Durable> for Uuid {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::uuid(to_host(self))));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for Uuid {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        value.read::<Self, _>(sql::Value::as_uuid).map(from_host)
    }
}

impl Element for Uuid {
    fn array_type_info() -> TypeInfo {
        TypeInfo::uuid_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        let elements: Vec<_> = elements.iter().map(to_host).collect();
        Ok(Value::new(sql::Value::uuid_array(&elements)))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let elements = value.read::<Vec<Self>, _>(sql::Value::as_uuid_array)?;
        Ok(elements.into_iter().map(from_host).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_the_highest() {
        let uuid = Uuid::from_u128(0x00112233_4455_6677_8899_aabbccddeeff);
        let host = to_host(&uuid);
        assert_eq!(host.hi, 0x0011_2233_4455_6677);
        assert_eq!(host.lo, 0x8899_aabb_ccdd_eeff);
        assert_eq!(from_host(host), uuid);
    }
}
