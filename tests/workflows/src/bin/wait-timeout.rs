//! Waits for one notification for so long, and prints its event or `none`.
//!
//! Data: `{"ms": N}`. Events: `durable:core/notify.notification-blocking-timeout`,
//! `wasi:io/streams.output-stream.write`.

use std::time::Duration;

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    ms: u64,
}

fn main() {
    let Settings { ms } = durable::task().data();
    match durable::notify::wait_with_timeout(Duration::from_millis(ms)) {
        Some(notification) => println!("{}", notification.event),
        None => println!("none"),
    }
}
