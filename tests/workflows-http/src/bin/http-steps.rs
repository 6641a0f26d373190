//! Posts `{"task": ID, "step": N}` for every N from 0 below `count`, then prints
//! `done`. Fails with the first request that has no good answer.
//!
//! Data: `{"url": URL, "count": N}`.
//! Events: `count` × `durable::http::send(POST URL)`, then one
//! `wasi:io/streams.output-stream.write`.

use durable::http::Response;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Settings {
    url: String,
    count: u64,
}

#[derive(Serialize)]
struct Step {
    task: i64,
    step: u64,
}

fn main() {
    let task = durable::task();
    let Settings { url, count } = task.data();
    for step in 0..count {
        let body = Step {
            task: task.id(),
            step,
        };
        let sent = durable::http::post(&url).json(&body).send();
        if let Err(error) = sent.and_then(Response::error_for_status) {
            durable::abort(error);
        }
    }
    println!("done");
}
