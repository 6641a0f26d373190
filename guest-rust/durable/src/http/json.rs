//! How the parts of a response are written into the journal.
//!
//! The module `http` documents the form, because others read the journal.

/// A status as its number.
pub(super) mod status {
    use http::StatusCode;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u16(status.as_u16())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Bytes as a string where that is possible, otherwise as an array of numbers.
pub(super) mod bytes {
    use std::fmt;
    use std::str;

    use serde::de::value::SeqAccessDeserializer;
    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serializer};

    /// The bytes as text that the database can store.
    pub fn as_text(bytes: &[u8]) -> Option<&str> {
        // It refuses U+0000.
        str::from_utf8(bytes).ok().filter(|_| !bytes.contains(&0))
    }

    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match as_text(bytes) {
            Some(text) => to.serialize_str(text),
            None => to.collect_seq(bytes),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        from.deserialize_any(TextOrNumbers)
    }

    struct TextOrNumbers;

    impl<'de> Visitor<'de> for TextOrNumbers {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a string or an array of bytes")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
            Ok(text.into())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, numbers: A) -> Result<Vec<u8>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(numbers))
        }
    }
}

/// Headers as an object of strings. A name that occurs more than once, or has a
/// value that is no text, has an array of its values instead.
pub(super) mod headers {
    use std::fmt;

    use http::header::{GetAll, HeaderMap, HeaderName, HeaderValue};
    use serde::de::value::SeqAccessDeserializer;
    use serde::de::{Error, MapAccess, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::bytes;

    pub fn serialize<S: Serializer>(headers: &HeaderMap, to: S) -> Result<S::Ok, S::Error> {
        let values = |name: &HeaderName| Values(headers.get_all(name));
        to.collect_map(headers.keys().map(|name| (name.as_str(), values(name))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderMap, D::Error> {
        from.deserialize_map(Headers)
    }

    struct Values<'a>(GetAll<'a, HeaderValue>);

    impl Serialize for Values<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut values = self.0.iter().map(HeaderValue::as_bytes);
            if let (Some(value), None) = (values.next(), values.next()) {
                if let Some(text) = bytes::as_text(value) {
                    return to.serialize_str(text);
                }
            }
            to.collect_seq(self.0.iter().map(Value))
        }
    }

    struct Value<'a>(&'a HeaderValue);

    impl Serialize for Value<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            bytes::serialize(self.0.as_bytes(), to)
        }
    }

    struct Headers;

    impl<'de> Visitor<'de> for Headers {
        type Value = HeaderMap;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("an object of headers")
        }

        /// The names come out sorted, whatever their order was: the database
        /// changes it, and a program must see the same order on every run.
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
            let mut sorted: Vec<(String, RecordedValues)> = Vec::new();
            while let Some(entry) = map.next_entry()? {
                let at = sorted.partition_point(|other| other.0 < entry.0);
                sorted.insert(at, entry);
            }
            let mut headers = HeaderMap::new();
            for (name, values) in sorted {
                let name = HeaderName::try_from(name).map_err(A::Error::custom)?;
                for RecordedValue(value) in values.0 {
                    let value = HeaderValue::try_from(value).map_err(A::Error::custom)?;
                    headers.append(&name, value);
                }
            }
            Ok(headers)
        }
    }

    struct RecordedValues(Vec<RecordedValue>);

    impl<'de> Deserialize<'de> for RecordedValues {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_any(TextOrValues)
        }
    }

    struct TextOrValues;

    impl<'de> Visitor<'de> for TextOrValues {
        type Value = RecordedValues;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a header's value or an array of its values")
        }

        fn visit_str<E>(self, text: &str) -> Result<RecordedValues, E> {
            Ok(RecordedValues(vec![RecordedValue(text.into())]))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<RecordedValues, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(values)).map(RecordedValues)
        }
    }

    #[derive(Deserialize)]
    struct RecordedValue(#[serde(with = "bytes")] Vec<u8>);
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Body(#[serde(with = "super::bytes")] Vec<u8>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Headers(#[serde(with = "super::headers")] HeaderMap);

    fn headers(lines: &[(&'static str, &[u8])]) -> Headers {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        Headers(headers)
    }

    fn read<T: serde::de::DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn text_is_a_string_and_everything_else_an_array() {
        let all: [(&[u8], &str); 5] = [
            (b"", r#""""#),
            ("grüße\n".as_bytes(), r#""grüße\n""#),
            (b"[1]", r#""[1]""#),
            (b"a\0b", "[97,0,98]"),
            (b"\xff\xfe", "[255,254]"),
        ];
        for (bytes, json) in all {
            let body = Body(bytes.into());
            assert_eq!(serde_json::to_string(&body).unwrap(), json);
            assert_eq!(read::<Body>(json), body);
        }
    }

    #[test]
    fn every_byte_survives() {
        let body = Body((0..=255).collect());
        assert_eq!(read::<Body>(&serde_json::to_string(&body).unwrap()), body);
    }

    #[test]
    fn a_body_that_is_neither_text_nor_bytes_is_an_error() {
        for json in ["null", "7", "[256]", "[-1]", r#"["a"]"#, "{}"] {
            assert!(serde_json::from_str::<Body>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn repeated_headers_are_an_array_in_their_order() {
        let headers = headers(&[
            ("set-cookie", b"z=1"),
            ("x-binary", b"\xe9"),
            ("set-cookie", b"a=2"),
            ("x-binaries", b"\xe9"),
            ("x-binaries", b"e"),
            ("x-empty", b""),
        ]);
        let json = r#"{"set-cookie":["z=1","a=2"],"x-binary":[[233]],"x-binaries":[[233],"e"],"x-empty":""}"#;
        assert_eq!(serde_json::to_string(&headers).unwrap(), json);
        assert_eq!(read::<Headers>(json), headers);
    }

    #[test]
    fn headers_come_back_in_one_order_however_they_were_written() {
        let names = |json| -> Vec<String> {
            let Headers(headers) = read(json);
            headers.iter().map(|(name, _)| name.to_string()).collect()
        };
        let sorted = ["content-type", "etag", "x-id", "x-id"];
        for json in [
            r#"{"x-id":["2","1"],"etag":"e","content-type":"t"}"#,
            r#"{"etag":"e","x-id":["2","1"],"content-type":"t"}"#,
        ] {
            assert_eq!(names(json), sorted);
        }
    }

    #[test]
    fn headers_that_no_server_sends_are_an_error() {
        for json in [
            r#"{"x":7}"#,
            r#"{"x":["a",1]}"#,
            r#"{"x":[97]}"#,
            r#"{"x":[["a"]]}"#,
            r#"{"x":[[256]]}"#,
            r#"{"x y":"a"}"#,
            r#"{"x":"a\nb"}"#,
            r#"{"x":null}"#,
            "[]",
        ] {
            assert!(serde_json::from_str::<Headers>(json).is_err(), "{json}");
        }
    }
}
