//! Inserts one row into `app.step (task_id, step)`, step 0.
//!
//! Events: `insert`.

use durable::sqlx;

fn main() {
    let task = durable::task().id();
    let inserted = sqlx::transaction("insert", |mut conn| {
        sqlx::query("INSERT INTO app.step (task_id, step) VALUES ($1, 0)")
            .bind(task)
            .execute(&mut conn)
    });
    if let Err(error) = inserted {
        durable::abort(error);
    }
}
