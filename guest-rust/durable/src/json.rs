//! JSON that the database gives back with the same values.

use std::io;

use serde::ser::Error;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The JSON text of a value, such that what is read from it does not change
/// when the database has stored it.
///
/// It stores numbers as decimal ones, which know neither -0.0 nor exponents:
/// `-0.0` would come back as `0.0`, and `1e16` as `10000000000000000`, which
/// reads as an integer where the type leaves that open. So floats are written
/// as the database prints them.
pub(crate) fn to_string<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut json = Vec::with_capacity(128);
    value.serialize(&mut Serializer::with_formatter(&mut json, AsStored))?;
    String::from_utf8(json).map_err(serde_json::Error::custom)
}

struct AsStored;

impl Formatter for AsStored {
    fn write_f32<W: io::Write + ?Sized>(&mut self, to: &mut W, value: f32) -> io::Result<()> {
        // From here on all are whole numbers, and `Display` writes no point.
        const WHOLE: f32 = 16_777_216.0;
        if value.abs() >= WHOLE {
            return write!(to, "{value}.0");
        }
        CompactFormatter.write_f32(to, if value == 0.0 { 0.0 } else { value })
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if value.abs() >= WHOLE {
            return write!(to, "{value}.0");
        }
        CompactFormatter.write_f64(to, if value == 0.0 { 0.0 } else { value })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;
    use serde_json::{json, Value};

    use super::*;

    fn written<T: Serialize>(value: T) -> String {
        to_string(&value).unwrap()
    }

    #[test]
    fn floats_have_no_positive_exponent_and_zero_has_no_sign() {
        assert_eq!(written(-0.0), "0.0");
        assert_eq!(written(-0.0f32), "0.0");
        assert_eq!(written(1e15), "1000000000000000.0");
        assert_eq!(written(1e16), "10000000000000000.0");
        assert_eq!(written(-1.2345678901234567e16), "-12345678901234568.0");
        assert_eq!(written(1e22), "10000000000000000000000.0");
        assert_eq!(written(16_777_216f32), "16777216.0");
        assert_eq!(written(-1e20f32), "-100000000000000000000.0");
        assert_eq!(written(1.5), "1.5");
        assert_eq!(written(json!([-0.0, 1e16])), "[0.0,10000000000000000.0]");
    }

    /// Bits of floats with every exponent.
    fn everywhere() -> impl Iterator<Item = u64> {
        (0..0x7ff0_u64)
            .step_by(5)
            .map(|high| (high << 48) + high * 0x1234_5678)
            .flat_map(|bits| [bits, bits + 1])
            .filter(|bits| f64::from_bits(*bits).is_finite())
    }

    #[test]
    fn every_float_is_read_back_as_itself_and_as_a_float() {
        for bits in everywhere() {
            for float in [f64::from_bits(bits), -f64::from_bits(bits)] {
                let json = written(float);
                let exponent = json.split_once('e').map(|(_, exponent)| exponent);
                assert!(exponent.is_none_or(|e| e.starts_with('-')), "{json}");
                assert_eq!(serde_json::from_str::<f64>(&json).unwrap(), float);
                let value: Value = serde_json::from_str(&json).unwrap();
                assert!(value.is_f64(), "{json}");
                assert_eq!(value, json!(float + 0.0));
            }
            let float = f32::from_bits((bits >> 32) as u32);
            if float.is_finite() {
                let json = written(float);
                assert_eq!(serde_json::from_str::<f32>(&json).unwrap(), float);
                assert!(serde_json::from_str::<Value>(&json).unwrap().is_f64());
            }
        }
    }

    #[test]
    fn whatever_is_no_float_is_written_as_ever() {
        let raw = RawValue::from_string("[1.0e5, -0.0]".into()).unwrap();
        assert_eq!(written(&raw), "[1.0e5, -0.0]");
        assert_eq!(written(f64::NAN), "null");
        assert_eq!(written(f32::NEG_INFINITY), "null");
        assert_eq!(written(u64::MAX), u64::MAX.to_string());
        assert_eq!(written(i128::MIN), i128::MIN.to_string());
        let value = json!({"b": [true, null, "\u{1}\n\"ü"], "a": {}});
        assert_eq!(written(&value), value.to_string());
        let map = BTreeMap::from([(2, "b"), (1, "a")]);
        assert_eq!(written(map), r#"{"1":"a","2":"b"}"#);
    }
}
