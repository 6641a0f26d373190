//! Sends values of every type to the database and back, and NULL as each type.
//!
//! Prints a line for each type: `NAME: ok`, or `NAME: ` and what went wrong.
//! Makes the enum `app.mood` if it is not there; the schema must be.
//! Events: `types`, one `wasi:io/streams.output-stream.write` for each line.

use std::fmt::Debug;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use durable::sqlx::driver::{Connection, Durable};
use durable::sqlx::types::chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use durable::sqlx::types::ipnetwork::IpNetwork;
use durable::sqlx::types::{Json, JsonRawValue, JsonValue, Uuid};
use durable::sqlx::{self, Decode, Encode, Type};
use workflows_sqlx::Mood;

/// Sends values and NULL, each alone.
fn round_trip<T>(conn: &mut Connection, postgres: &str, values: &[T]) -> sqlx::Result<String>
where
    T: for<'q> Encode<'q, Durable> + for<'r> Decode<'r, Durable> + Type<Durable>,
    T: Clone + Debug,
{
    let sql = "SELECT $1 AS value, pg_typeof($1)::text AS type";
    let options = values.iter().cloned().map(Some).chain([None]);
    for sent in options {
        let row = sqlx::query(sql).bind(sent.clone()).fetch_one(&mut *conn)?;
        let read: Option<T> = row.try_get("value")?;
        // Not every type can be compared, but each can be shown.
        if format!("{read:?}") != format!("{sent:?}") {
            return Ok(format!("sent {sent:?}, read {read:?}"));
        }
        let ty: String = row.try_get("type")?;
        if ty != postgres {
            return Ok(format!("the database takes it for {ty}"));
        }
    }
    Ok("ok".into())
}

struct Report<'c> {
    conn: &'c mut Connection,
    lines: Vec<String>,
}

impl Report<'_> {
    /// Values of a type, alone and in arrays.
    fn check<T>(&mut self, name: &str, postgres: &str, values: &[T])
    where
        T: for<'q> Encode<'q, Durable> + for<'r> Decode<'r, Durable> + Type<Durable>,
        T: Clone + Debug,
        Vec<T>: for<'q> Encode<'q, Durable> + for<'r> Decode<'r, Durable> + Type<Durable>,
    {
        self.scalar(name, postgres, values);
        let arrays = [values.to_vec(), vec![]];
        self.scalar(&format!("{name}[]"), &format!("{postgres}[]"), &arrays);
    }

    fn scalar<T>(&mut self, name: &str, postgres: &str, values: &[T])
    where
        T: for<'q> Encode<'q, Durable> + for<'r> Decode<'r, Durable> + Type<Durable>,
        T: Clone + Debug,
    {
        // What fails must not spoil the rest.
        let mut attempt = self.conn.begin().unwrap();
        let outcome = round_trip(&mut attempt, postgres, values).unwrap_or_else(|e| e.to_string());
        attempt.rollback().unwrap();
        self.lines.push(format!("{name}: {outcome}"));
    }

    /// A value that the database makes.
    fn read<T>(&mut self, name: &str, sql: &str, expected: T)
    where
        T: for<'r> Decode<'r, Durable> + Type<Durable> + Debug,
    {
        let mut attempt = self.conn.begin().unwrap();
        let row = sqlx::query(sql).fetch_one(&mut attempt);
        let read: sqlx::Result<T> = row.and_then(|row| Ok(row.try_get(0)?));
        attempt.rollback().unwrap();
        let outcome = match read {
            Ok(read) if format!("{read:?}") == format!("{expected:?}") => "ok".into(),
            Ok(read) => format!("read {read:?} instead of {expected:?}"),
            Err(error) => error.to_string(),
        };
        self.lines.push(format!("{name}: {outcome}"));
    }
}

/// A point in time. (From a text it would cost 30 kB.)
fn time(seconds: i64, micros: u32) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, micros * 1000).unwrap()
}

fn report(mut conn: Connection) -> Vec<String> {
    Mood::create(&mut conn).unwrap();
    let mut report = Report {
        conn: &mut conn,
        lines: vec![],
    };
    report.check("bool", "boolean", &[true, false]);
    report.check("i8", "\"char\"", &[0_i8, 1, i8::MAX, -1, i8::MIN]);
    report.check("i16", "smallint", &[0_i16, i16::MAX, i16::MIN]);
    report.check("i32", "integer", &[0_i32, i32::MAX, i32::MIN]);
    report.check("i64", "bigint", &[0_i64, i64::MAX, i64::MIN]);
    report.check(
        "f32",
        "real",
        &[0.0_f32, -0.1, f32::MAX, f32::INFINITY, f32::NAN],
    );
    report.check(
        "f64",
        "double precision",
        &[
            0.1 + 0.2,
            -0.0,
            f64::MIN_POSITIVE,
            f64::NEG_INFINITY,
            f64::NAN,
        ],
    );
    let texts = ["", "naïve ☃ 𝄞", "{\"a\",NULL}", " spaces\n\t'\"\\"];
    report.check("String", "text", &texts.map(String::from));
    let bytes = [vec![], (0..=255).collect::<Vec<u8>>(), b"\\x00".to_vec()];
    report.check("Vec<u8>", "bytea", &bytes);
    let timestamptz = "timestamp with time zone";
    // 1970, 2024-02-29 and the year 1.
    let instants = [
        time(0, 0),
        time(1_709_210_096, 789_012),
        time(-62_135_596_800, 0),
    ];
    report.check("DateTime<Utc>", timestamptz, &instants);
    let local = DateTime::<FixedOffset>::from(instants[1]);
    report.check("DateTime<FixedOffset>", timestamptz, &[local]);
    let later = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    report.check("SystemTime", timestamptz, &[SystemTime::UNIX_EPOCH, later]);
    let naive: Vec<NaiveDateTime> = instants.iter().map(DateTime::naive_utc).collect();
    report.check("NaiveDateTime", "timestamp without time zone", &naive);
    let uuid = Uuid::from_u128(0x00112233_4455_6677_8899_aabbccddeeff);
    report.check("Uuid", "uuid", &[Uuid::nil(), uuid, Uuid::max()]);
    let json = serde_json::json!({"a": [1, null, {"b": "ü"}], "n": 1.5, "t": true});
    report.check(
        "JsonValue",
        "jsonb",
        &[json.clone(), JsonValue::Null, 7.into()],
    );
    report.check(
        "Json<T>",
        "jsonb",
        &[Json(vec![(1, "x".to_owned())]), Json(vec![])],
    );
    let raw = JsonRawValue::from_string("[1, 2]".into()).unwrap();
    report.scalar("JsonRawValue", "jsonb", &[raw]);
    let addresses: [IpAddr; 3] =
        ["127.0.0.1", "::1", "2001:db8::ff00:42:8329"].map(|address| address.parse().unwrap());
    report.check("IpAddr", "inet", &addresses);
    let networks: [IpNetwork; 4] = ["10.1.2.3/8", "0.0.0.0/0", "2001:db8::1/64", "1.2.3.4/32"]
        .map(|network| network.parse().unwrap());
    report.check("IpNetwork", "inet", &networks);
    report.check("enum", "app.mood", &[Mood::Happy, Mood::Sad]);

    report.read("varchar", "SELECT 'x'::varchar(5)", "x".to_owned());
    report.read("char(n)", "SELECT 'x'::char(3)", "x  ".to_owned());
    report.read("name", "SELECT 'x'::name", "x".to_owned());
    report.read("enum as text", "SELECT 'sad'::app.mood", "sad".to_owned());
    report.read(
        "enum[] as text",
        "SELECT '{sad,happy}'::app.mood[]",
        vec!["sad".to_owned(), "happy".into()],
    );
    report.read(
        "json",
        "SELECT '{\"a\": 1}'::json",
        serde_json::json!({"a": 1}),
    );
    report.read(
        "text of an array",
        "SELECT ARRAY['a', 'b']",
        vec!["a".to_owned(), "b".into()],
    );
    report.read("no type", "SELECT NULL", None::<String>);
    let zoned = "SELECT '2024-02-29 14:34:56.789012+02'::timestamptz";
    report.read("time of a zone", zoned, instants[1]);
    report.lines
}

fn main() {
    let lines: Vec<String> = sqlx::transaction("types", report);
    for line in lines {
        println!("{line}");
    }
}
