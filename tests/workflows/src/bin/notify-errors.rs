//! Sends what cannot be sent and prints a line for each attempt, the kind of
//! the error or `sent`.
//!
//! Data: `{"dead": TASK}`, a finished task, or none. In this order: `unknown`
//! (a task that does not exist), `negative` (the task -1), `dead` (if told),
//! `not json` (the data `{`), `nul` (U+0000 in the name of the event) and `big`
//! (4 MiB of data).
//! Events for each: `durable:core/notify.notify`,
//! `wasi:io/streams.output-stream.write`.

use serde::Deserialize;
use workflows::host::notify::{notify, NotifyError};

#[derive(Deserialize, Default)]
struct Settings {
    dead: Option<i64>,
}

fn attempt(name: &str, task: i64, event: &str, data: &str) {
    let outcome = match notify(task, event, data) {
        Ok(()) => "sent",
        Err(NotifyError::TaskNotFound) => "task-not-found",
        Err(NotifyError::TaskDead) => "task-dead",
        Err(NotifyError::Other(_)) => "other",
    };
    println!("{name}: {outcome}");
}

fn main() {
    let this = durable::task().id();
    let Settings { dead } = workflows::settings();
    attempt("unknown", i64::MAX, "event", "null");
    attempt("negative", -1, "event", "null");
    if let Some(dead) = dead {
        attempt("dead", dead, "event", "null");
    }
    attempt("not json", this, "event", "{");
    attempt("nul", this, "e\0vent", "null");
    attempt("big", this, "event", &format!("{:?}", "x".repeat(4 << 20)));
}
