//! Waits for a number of notifications and prints what came, as one line of
//! JSON: a list of `[event, data]`.
//!
//! Data: `{"count": N, "quiet": BOOL}`, `quiet` is false if left out. Quiet, it
//! takes what `send-many` sends and prints `count: N` and `in order: true` if
//! every sender's numbers came without gap, repetition or change of order.
//! Events: N × `durable:core/notify.notification-blocking`, then one
//! `wasi:io/streams.output-stream.write` for each line.

use std::collections::BTreeMap;

use durable::notify::Notification;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Settings {
    count: usize,
    #[serde(default)]
    quiet: bool,
}

#[derive(Deserialize)]
struct Numbered {
    sender: i64,
    seq: u64,
}

fn main() {
    let Settings { count, quiet } = durable::task().data();
    let received: Vec<Notification> = (0..count).map(|_| durable::notify::wait()).collect();
    if quiet {
        println!("count: {count}");
        println!("in order: {}", in_order(&received));
    } else {
        let list: Vec<(&str, &RawValue)> = received
            .iter()
            .map(|n| (n.event.as_str(), &*n.data))
            .collect();
        println!("{}", serde_json::to_string(&list).unwrap());
    }
}

fn in_order(received: &[Notification]) -> bool {
    let mut next: BTreeMap<i64, u64> = BTreeMap::new();
    received.iter().all(|notification| {
        let Numbered { sender, seq } = notification.json().unwrap();
        let expected = next.entry(sender).or_default();
        let as_expected = seq == *expected;
        *expected += 1;
        as_expected
    })
}
