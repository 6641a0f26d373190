//! Reads the numbers from 1 to N row by row and prints their sum.
//!
//! Data: `{"rows": N}`.
//! Events: `sum`, one `wasi:io/streams.output-stream.write`.

use durable::sqlx::{self, Connection};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    rows: i64,
}

fn sum(mut conn: Connection, rows: i64) -> sqlx::Result<i64> {
    let numbers = sqlx::query_scalar::<i64>("SELECT generate_series(1, $1)").bind(rows);
    let mut sum = 0;
    for number in numbers.fetch(&mut conn) {
        sum += number?;
    }
    Ok(sum)
}

fn main() {
    let Settings { rows } = durable::task().data();
    match sqlx::transaction("sum", |conn| sum(conn, rows)) {
        Ok(sum) => println!("{sum}"),
        Err(error) => durable::abort(error),
    }
}
