//! Points in time of chrono.

use chrono::{DateTime, FixedOffset, Local, NaiveDateTime, Offset, TimeZone, Utc};
use sqlx_core::decode::Decode;
use sqlx_core::encode::{Encode, IsNull};
use sqlx_core::error::BoxDynError;
use sqlx_core::types::Type;

use super::array::Element;
use crate::sqlx::bindings::durable::core::sql;
use crate::sqlx::driver::{Durable, TypeInfo, Value};

const OUT_OF_RANGE: &str = "the point in time is out of the range of chrono";

/// A leap second is a second more than 999,999,999 nanoseconds in chrono. The
/// database has none.
fn normal(seconds: i64, subsec_nanos: u32) -> (i64, u32) {
    const SECOND: u32 = 1_000_000_000;
    (
        seconds + i64::from(subsec_nanos / SECOND),
        subsec_nanos % SECOND,
    )
}

fn to_timestamptz<Tz: TimeZone>(time: &DateTime<Tz>) -> sql::Timestamptz {
    let (seconds, subsec_nanos) = normal(time.timestamp(), time.timestamp_subsec_nanos());
    sql::Timestamptz {
        seconds,
        subsec_nanos,
        offset: time.offset().fix().local_minus_utc(),
    }
}

fn from_timestamptz(time: sql::Timestamptz) -> Result<DateTime<FixedOffset>, BoxDynError> {
    let utc = DateTime::from_timestamp(time.seconds, time.subsec_nanos).ok_or(OUT_OF_RANGE)?;
    let offset = FixedOffset::east_opt(time.offset).ok_or("the offset is more than a day")?;
    Ok(utc.with_timezone(&offset))
}

fn to_timestamp(time: &NaiveDateTime) -> sql::Timestamp {
    let time = time.and_utc();
    let (seconds, subsec_nanos) = normal(time.timestamp(), time.timestamp_subsec_nanos());
    sql::Timestamp {
        seconds,
        subsec_nanos,
    }
}

fn from_timestamp(time: sql::Timestamp) -> Result<NaiveDateTime, BoxDynError> {
    let time = DateTime::from_timestamp(time.seconds, time.subsec_nanos).ok_or(OUT_OF_RANGE)?;
    Ok(time.naive_utc())
}

impl<Tz: TimeZone> Type<Durable> for DateTime<Tz> {
    fn type_info() -> TypeInfo {
        TypeInfo::timestamptz()
    }
}

impl<'q, Tz: TimeZone> Encode<'q, Durable> for DateTime<Tz> {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::timestamptz(to_timestamptz(self))));
        Ok(IsNull::No)
    }
}

/// A `timestamptz` as the time of a zone. What the zone of the value is, is up
/// to the settings of the database: only `FixedOffset` keeps it.
macro_rules! zoned {
    ($($zone:ty)*) => {$(
        impl<'r> Decode<'r, Durable> for DateTime<$zone> {
            fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
                let time = value.read::<Self, _>(sql::Value::as_timestamptz)?;
                from_timestamptz(time).map(Self::from)
            }
        }

        impl Element for DateTime<$zone> {
            fn array_type_info() -> TypeInfo {
                TypeInfo::timestamptz_array()
            }

            fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
                let elements: Vec<_> = elements.iter().map(to_timestamptz).collect();
                Ok(Value::new(sql::Value::timestamptz_array(&elements)))
            }

            fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
                let elements = value.read::<Vec<Self>, _>(sql::Value::as_timestamptz_array)?;
                let zoned = |time| from_timestamptz(time).map(Self::from);
                elements.into_iter().map(zoned).collect()
            }
        }
    )*};
}

zoned!(Utc FixedOffset Local);

impl Type<Durable> for NaiveDateTime {
    fn type_info() -> TypeInfo {
        TypeInfo::timestamp()
    }
}

impl<'q> Encode<'q, Durable> for NaiveDateTime {
    fn encode_by_ref(&self, buffer: &mut Vec<Value>) -> Result<IsNull, BoxDynError> {
        buffer.push(Value::new(sql::Value::timestamp(to_timestamp(self))));
        Ok(IsNull::No)
    }
}

impl<'r> Decode<'r, Durable> for NaiveDateTime {
    fn decode(value: &'r Value) -> Result<Self, BoxDynError> {
        from_timestamp(value.read::<Self, _>(sql::Value::as_timestamp)?)
    }
}

impl Element for NaiveDateTime {
    fn array_type_info() -> TypeInfo {
        TypeInfo::timestamp_array()
    }

    fn encode_array(elements: &[Self]) -> Result<Value, BoxDynError> {
        let elements: Vec<_> = elements.iter().map(to_timestamp).collect();
        Ok(Value::new(sql::Value::timestamp_array(&elements)))
    }

    fn decode_array(value: &Value) -> Result<Vec<Self>, BoxDynError> {
        let elements = value.read::<Vec<Self>, _>(sql::Value::as_timestamp_array)?;
        elements.into_iter().map(from_timestamp).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_to_the_east_is_positive() {
        let time = DateTime::parse_from_rfc3339("2024-02-29T12:00:00.25+05:30").unwrap();
        let host = to_timestamptz(&time);
        assert_eq!((host.seconds, host.offset), (1_709_188_200, 19_800));
        assert_eq!(host.subsec_nanos, 250_000_000);
        assert_eq!(from_timestamptz(host).unwrap(), time);
    }

    #[test]
    fn times_before_1970_survive() {
        let time = DateTime::parse_from_rfc3339("0001-01-01T00:00:00.000001-23:59").unwrap();
        assert_eq!(from_timestamptz(to_timestamptz(&time)).unwrap(), time);
        let naive = time.naive_utc();
        assert_eq!(from_timestamp(to_timestamp(&naive)).unwrap(), naive);
    }

    #[test]
    fn a_leap_second_is_the_second_after_it() {
        let leap = "2016-12-31T23:59:60.5Z".parse::<DateTime<Utc>>().unwrap();
        let host = to_timestamptz(&leap);
        assert_eq!(
            (host.seconds, host.subsec_nanos),
            (1_483_228_800, 500_000_000)
        );
    }

    #[test]
    fn a_time_that_chrono_does_not_have_is_an_error() {
        let time = sql::Timestamp {
            seconds: i64::MAX,
            subsec_nanos: 0,
        };
        assert!(from_timestamp(time).is_err());
    }
}
