//! Points in time of the standard library.

use std::time::{Duration, SystemTime};

use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

const OUT_OF_RANGE: &str = "the point in time is out of range";

fn to_host(time: &SystemTime) -> Result<sql::Timestamptz, BoxDynError> {
    let (seconds, subsec_nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()), since.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).map(|seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds.map(|seconds| seconds - 1), 1_000_000_000 - nanos),
            }
        }
    };
    Ok(sql::Timestamptz {
        seconds: seconds.map_err(|_| OUT_OF_RANGE)?,
        subsec_nanos,
        offset: 0,
    })
}

fn from_host(time: sql::Timestamptz) -> Result<SystemTime, BoxDynError> {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let nanos = Duration::from_nanos(time.subsec_nanos.into());
    whole
        .and_then(|whole| whole.checked_add(nanos))
        .ok_or_else(|| OUT_OF_RANGE.into())
}

impl Type<Durable> for SystemTime {
    fn type_info() -> TypeInfo {
        TypeInfo::timestamptz()
    }
}

impl<'q> Encode<'q, Durable> for SystemTime {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::timestamptz(to_host(self)?)));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for SystemTime {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        from_host(value.read::<Self, _>(sql::Value::as_timestamptz)?)
    }
}

impl Element for SystemTime {
    fn array_type_info() -> TypeInfo {
        TypeInfo::timestamptz_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        let elements: Result<Vec<_>, _> = elements.iter().map(to_host).collect();
        Ok(Value::new(sql::Value::timestamptz_array(&elements?)))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let elements = value.read::<Vec<Self>, _>(sql::Value::as_timestamptz_array)?;
        elements.into_iter().map(from_host).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_1970_survive() {
        for (seconds, nanos) in [
            (0, 0),
            (1, 5),
            (-1, 0),
            (-1, 999_999_999),
            (-62_135_596_800, 1),
        ] {
            let host = sql::Timestamptz {
                seconds,
                subsec_nanos: nanos,
                offset: 3600,
            };
            let back = to_host(&from_host(host).unwrap()).unwrap();
            assert_eq!((back.seconds, back.subsec_nanos), (seconds, nanos));
        }
    }
}
