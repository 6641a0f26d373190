//! Runs one SQL statement without parameters and prints each row as its
//! columns (those that read as text or as an integer), then the count.
//!
//! Data: `{"sql": TEXT, "outside": BOOL}`, `outside` is false if left out. With
//! it the transaction is not one for SQL: the host traps.
//! Events: `sql` with the list of lines, one
//! `wasi:io/streams.output-stream.write` for each of them.

use serde::Deserialize;
use workflows::host::core::{transaction_enter, transaction_exit};
use workflows::host::sql::{fetch, query, Options, QueryResult, Value};

#[derive(Deserialize)]
struct Settings {
    sql: String,
    #[serde(default)]
    outside: bool,
}

fn show(value: &Value) -> String {
    let integer = || value.as_int8().or(value.as_int4().map(i64::from));
    if value.is_null() {
        "null".into()
    } else if let Some(integer) = integer() {
        integer.to_string()
    } else {
        value.as_text().unwrap_or_else(|| value.type_info().name())
    }
}

fn run(sql: &str) -> Vec<String> {
    let all_rows = Options {
        limit: 2,
        persistent: false,
    };
    query(sql, vec![], all_rows);
    std::iter::from_fn(fetch)
        .map(|result| match result {
            Ok(QueryResult::Row(row)) => {
                let columns: Vec<String> = row
                    .columns
                    .iter()
                    .map(|column| show(&column.value))
                    .collect();
                columns.join(", ")
            }
            Ok(QueryResult::Count(count)) => format!("count: {count}"),
            Err(error) => format!("{error:?}"),
        })
        .collect()
}

fn main() {
    let Settings { sql, outside } = durable::task().data();
    let lines = match transaction_enter("sql", !outside) {
        Some(recorded) => recorded,
        None => {
            let lines = serde_json::to_string(&run(&sql)).unwrap();
            transaction_exit(&lines);
            lines
        }
    };
    let lines: Vec<String> = serde_json::from_str(&lines).unwrap();
    for line in lines {
        println!("{line}");
    }
}
