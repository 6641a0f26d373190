//! Keeps a row, a value and types beyond the transaction in which they were
//! made, and uses them outside of one and in another.
//!
//! Data: `{"seconds": N}`: how long to sleep in between, 0 if left out. Makes
//! the enum `app.mood` if it is not there; the schema must be.
//! Prints what it has, one line each time.
//! Events: `make`, `wasi:io/poll.poll` and `wasi:clocks/monotonic-clock.now` if
//! it sleeps, one `wasi:io/streams.output-stream.write` for each line, `use`.

use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use durable::sqlx::driver::{Arguments, Connection, Row, TypeInfo, Value};
use durable::sqlx::{self};
use serde::{Deserialize, Serialize};
use workflows_sqlx::Mood;

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default)]
    seconds: u64,
}

/// What is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    row: Row,
    value: Value,
    null: Value,
    built_in: TypeInfo,
    named: TypeInfo,
}

/// A type in a static, as users keep one.
static MOOD: OnceLock<TypeInfo> = OnceLock::new();

fn mood() -> &'static TypeInfo {
    MOOD.get_or_init(|| TypeInfo::with_name("app.mood").expect("app.mood exists"))
}

fn make(mut conn: Connection) -> sqlx::Result<Kept> {
    Mood::create(&mut conn)?;
    let row = sqlx::query(
        "SELECT 7::bigint AS n, 'happy'::app.mood AS mood, NULL::text AS nothing, ARRAY[1, 2] AS a",
    )
    .fetch_one(&mut conn)?;
    Ok(Kept {
        row,
        value: Value::enum_scalar("sad", mood()),
        null: Value::null(mood()),
        built_in: TypeInfo::int8_array(),
        named: mood().clone(),
    })
}

fn show(kept: &Kept) {
    let row = &kept.row;
    let n: i64 = row.get("n");
    let mood: String = row.get("mood");
    let nothing: Option<String> = row.get("nothing");
    let a: Vec<i32> = row.get(3);
    println!("{n} {mood} {nothing:?} {a:?}");
    println!(
        "{} {}",
        kept.null.is_null(),
        kept.built_in == TypeInfo::int8_array()
    );
    println!("{}", kept.value.type_info() == kept.named);
}

fn use_again(mut conn: Connection, kept: &Kept) -> sqlx::Result<String> {
    let mut arguments = Arguments::default();
    arguments.add(Mood::Happy).map_err(sqlx::Error::Encode)?;
    let row = sqlx::query_with("SELECT $1 = 'happy', $1::text", arguments).fetch_one(&mut conn)?;
    // The type that was kept, and what a second look-up of it finds.
    assert_eq!(kept.named, *mood());
    assert_eq!(
        Value::enum_scalar("sad", &kept.named).type_info(),
        kept.named
    );
    assert_ne!(kept.named, kept.built_in);
    Ok(format!(
        "{} {}",
        row.get::<bool, _>(0),
        row.get::<&str, _>(1)
    ))
}

fn main() {
    let settings = durable::task()
        .data::<Option<Settings>>()
        .unwrap_or_default();
    let kept = match sqlx::transaction("make", make) {
        Ok(kept) => kept,
        Err(error) => durable::abort(error),
    };
    if settings.seconds > 0 {
        sleep(Duration::from_secs(settings.seconds));
    }
    show(&kept);
    match sqlx::transaction("use", |conn| use_again(conn, &kept)) {
        Ok(line) => println!("{line}"),
        Err(error) => durable::abort(error),
    }
}
