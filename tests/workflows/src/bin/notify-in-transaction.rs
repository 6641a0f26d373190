//! Uses notifications within a transaction: the host traps.
//!
//! Data: `"wait"`, `"wait-with-timeout"` or `"notify"`; none means `"wait"`.
//! Events: none.

use std::time::Duration;

use durable::notify::{notify, wait, wait_with_timeout};

fn main() {
    let task = durable::task();
    let call: Option<String> = task.data();
    durable::transaction("step", || match call.as_deref() {
        None | Some("wait") => drop(wait()),
        Some("wait-with-timeout") => drop(wait_with_timeout(Duration::ZERO)),
        Some("notify") => notify(task.id(), "event", &()).unwrap(),
        Some(other) => panic!("unknown call {other:?}"),
    });
}
