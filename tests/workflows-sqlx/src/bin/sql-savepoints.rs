//! Inserts rows into `app.step (task_id, step)` behind savepoints that are
//! kept and undone in every way, with errors in between. In the end the steps
//! 1, 3, 4, 7, 9 are there.
//!
//! Prints the SQLSTATE of each error, then the steps.
//! Events: `savepoints`, one `wasi:io/streams.output-stream.write` for each
//! line.

use durable::sqlx::{self, Connection};

fn insert(conn: &mut Connection, step: i32) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO app.step (task_id, step) VALUES ($1, $2)")
        .bind(durable::task().id())
        .bind(step)
        .execute(conn)?;
    Ok(())
}

/// The SQLSTATE of a statement that must fail.
fn failure(conn: &mut Connection, sql: &str) -> String {
    let error = sqlx::query(sql)
        .execute(conn)
        .expect_err("the statement fails");
    let error = error.into_database_error().expect("the database says why");
    error.code().expect("it has a code").into_owned()
}

fn savepoints(mut conn: Connection) -> sqlx::Result<Vec<String>> {
    let mut lines = vec![];
    insert(&mut conn, 1)?;

    // Undone after an error, which nothing else ends.
    let mut point = conn.begin()?;
    insert(&mut point, 2)?;
    lines.push(failure(&mut point, "SELECT 1/0"));
    lines.push(failure(&mut point, "SELECT 1"));
    point.rollback()?;
    insert(&mut conn, 3)?;

    // Kept, with one within that is undone.
    let mut outer = conn.begin()?;
    insert(&mut outer, 4)?;
    let mut inner = outer.begin()?;
    insert(&mut inner, 5)?;
    inner.rollback()?;
    outer.commit()?;

    // Undone because it is dropped.
    {
        let mut dropped = conn.begin()?;
        insert(&mut dropped, 6)?;
    }

    // Undone because what should keep it fails.
    insert(&mut conn, 7)?;
    let mut failed = conn.begin()?;
    insert(&mut failed, 8)?;
    lines.push(failure(&mut failed, "SELECT * FROM app.no_such_table"));
    assert!(failed.commit().is_err());

    // Kept, within one that is undone.
    let mut outer = conn.begin()?;
    let mut inner = outer.begin()?;
    insert(&mut inner, 10)?;
    inner.commit()?;
    outer.rollback()?;

    // As many as one likes, one after the other.
    for _ in 0..100 {
        let mut point = conn.begin()?;
        insert(&mut point, 11)?;
        point.rollback()?;
    }
    insert(&mut conn, 9)?;

    let steps: Vec<i32> =
        sqlx::query_scalar("SELECT step::integer FROM app.step WHERE task_id = $1 ORDER BY step")
            .bind(durable::task().id())
            .fetch_all(&mut conn)?;
    lines.push(format!("{steps:?}"));
    Ok(lines)
}

fn main() {
    match sqlx::transaction("savepoints", savepoints) {
        Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
        Err(error) => durable::abort(error),
    }
}
