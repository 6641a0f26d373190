//! Steps that leave a trace at every witness of the chaos harness: each draws a
//! time and a number, posts them as JSON, inserts them into `witness.step` and
//! prints them. After step `wait_after` it waits for a notification.
//!
//! Data: `{"url": URL, "steps": N, "wait_after": N}`.
//! Events of a step: `wasi:clocks/wall-clock.now`,
//! `wasi:random/random.get-random-u64`,
//! `durable::http::send(POST URL)`, `row`, `wasi:io/streams.output-stream.write`.

use std::time::SystemTime;

use durable::http::Response;
use durable::{http, notify, sqlx};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Settings {
    url: String,
    steps: i32,
    wait_after: i32,
}

#[derive(Serialize)]
struct Step {
    task: i64,
    step: i32,
    seconds: u64,
    number: u32,
}

fn main() {
    let task = durable::task();
    let settings: Settings = task.data();
    for number in 0..settings.steps {
        let step = draw(task.id(), number);
        post(&settings.url, &step).unwrap_or_else(|error| durable::abort(error));
        insert(&step).unwrap_or_else(|error| durable::abort(error));
        println!("step {} {} {}", step.step, step.seconds, step.number);
        if number == settings.wait_after {
            let told = notify::wait();
            println!("{} {}", told.event, told.data);
        }
    }
}

fn draw(task: i64, step: i32) -> Step {
    let now = SystemTime::now();
    let number = getrandom::u32().expect("the host has entropy");
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("it is after 1970")
        .as_secs();
    Step {
        task,
        step,
        seconds,
        number,
    }
}

/// The lease is that of this run, or the transaction is not committed.
fn insert(step: &Step) -> sqlx::Result<()> {
    sqlx::transaction("row", |mut conn| {
        sqlx::query(
            "INSERT INTO witness.step (task, step, seconds, number, lease)
             SELECT id, $2, $3, $4, lease FROM durable.task WHERE id = $1",
        )
        .bind(step.task)
        .bind(step.step)
        .bind(step.seconds as i64)
        .bind(i64::from(step.number))
        .execute(&mut conn)
    })?;
    Ok(())
}

fn post(url: &str, step: &Step) -> Result<Response, http::Error> {
    http::post(url).json(step).send()?.error_for_status()
}
