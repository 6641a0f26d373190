//! Sends numbered notifications to a task.
//!
//! Data: `{"target": TASK, "sender": I, "count": N}`. The notifications are
//! called `n`, their data is `{"sender": I, "seq": J}` with J from 0.
//! Events: N × `durable:core/notify.notify`.

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Settings {
    target: i64,
    sender: i64,
    count: u64,
}

#[derive(Serialize)]
struct Numbered {
    sender: i64,
    seq: u64,
}

fn main() {
    let Settings {
        target,
        sender,
        count,
    } = durable::task().data();
    for seq in 0..count {
        durable::notify::notify(target, "n", &Numbered { sender, seq }).unwrap();
    }
}
