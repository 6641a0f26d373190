//! Runs statements one after the other within one transaction, whatever
//! becomes of each.
//!
//! Data: `{"statements": [TEXT, …], "panic": BOOL}`, `panic` is false if left
//! out. With it the transaction ends in a panic.
//!
//! Prints a JSON array with an object for each statement: `{"rows": [[TEXT or
//! null, …], …], "count": N}` or `{"error": MESSAGE, "code": SQLSTATE or
//! null}`. Columns that do not read as text, a number or a bool are shown as
//! the name of their type.
//! Events: `statements` with the array, one
//! `wasi:io/streams.output-stream.write`.

use durable::sqlx::driver::{Connection, Durable, Row, Value};
use durable::sqlx::{self, Decode};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Settings {
    statements: Vec<String>,
    #[serde(default)]
    panic: bool,
}

fn show(value: &Value) -> Option<String> {
    fn read<'r, T: Decode<'r, Durable> + ToString>(value: &'r Value) -> Option<String> {
        T::decode(value).ok().map(|value| value.to_string())
    }
    if value.is_null() {
        return None;
    }
    read::<String>(value)
        .or_else(|| read::<i64>(value))
        .or_else(|| read::<i32>(value))
        .or_else(|| read::<bool>(value))
        .or_else(|| Some(value.type_info().name().to_owned()))
}

fn columns(row: &Row) -> Vec<Option<String>> {
    let values = (0..row.len()).map(|index| ::sqlx::Row::try_get_raw(row, index).unwrap());
    values.map(show).collect()
}

fn run(conn: &mut Connection, sql: &str) -> serde_json::Value {
    // As a statement without rows and as a query: both at once.
    let rows = sqlx::query(sql).persistent(false).fetch_all(conn);
    match rows {
        Ok(rows) => json!({"rows": rows.iter().map(columns).collect::<Vec<_>>()}),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code());
            json!({"error": error.to_string(), "code": code})
        }
    }
}

fn main() {
    let Settings { statements, panic } = durable::task().data();
    let results: Vec<serde_json::Value> = sqlx::transaction("statements", |mut conn| {
        let results = statements.iter().map(|sql| run(&mut conn, sql)).collect();
        assert!(!panic, "panicking on purpose");
        results
    });
    println!("{}", json!(results));
}
