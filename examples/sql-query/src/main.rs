//! Counts the events of its own journal, with SQL.

use durable::sqlx;

fn main() {
    println!("message 1");
    println!("message 2");
    println!("message 3");

    let task = durable::task().id();
    let count: sqlx::Result<i64> = sqlx::transaction("count the events", |mut conn| {
        sqlx::query_scalar("SELECT count(*) FROM durable.event WHERE task_id = $1")
            .bind(task)
            .fetch_one(&mut conn)
    });
    match count {
        Ok(count) => println!("{count} events so far"),
        Err(error) => durable::abort(error),
    }
}
