//! Inserts a row into `app.step (task_id, step)` in each of several
//! transactions.
//!
//! Data: `{"steps": N}`.
//! Events: `step` N times, then one `wasi:io/streams.output-stream.write`.

use durable::sqlx;
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    steps: i32,
}

fn main() {
    let task = durable::task();
    let Settings { steps } = task.data();
    for step in 0..steps {
        let inserted = sqlx::transaction("step", |mut conn| {
            sqlx::query("INSERT INTO app.step (task_id, step) VALUES ($1, $2)")
                .bind(task.id())
                .bind(step)
                .execute(&mut conn)
        });
        match inserted {
            Ok(result) => assert_eq!(result.rows_affected(), 1),
            Err(error) => durable::abort(error),
        }
    }
    println!("{steps} steps");
}
