//! Inserts a row into `app.step (task_id, step)` and panics in the same
//! transaction: the row is not there, and the task fails with the panic.
//!
//! Events: `panicking` with the panic, `durable::panic`.

use durable::sqlx;

fn main() {
    let task = durable::task().id();
    sqlx::transaction("panicking", |mut conn| {
        sqlx::query("INSERT INTO app.step (task_id, step) VALUES ($1, 0)")
            .bind(task)
            .execute(&mut conn)
            .expect("app.step is there");
        panic!("on purpose");
    })
}
