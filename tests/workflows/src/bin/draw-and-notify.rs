//! Three times: draws a number and tells another task about it. Whatever
//! crashes in between, the other task gets the very number that is recorded.
//!
//! Data: `{"target": TASK}`. The notification is `drawn`, its data the number.
//! Events, three times over:
//!
//! - `wasi:random/random.get-random-u64`
//! - `durable:core/notify.notify`
//! - `wasi:clocks/monotonic-clock.now` (a sleep of 10 ms …
//! - `wasi:io/poll.pollable.block`       … and its end)

use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;
use workflows::host::random::get_random_u64;

#[derive(Deserialize)]
struct Settings {
    target: i64,
}

fn main() {
    let Settings { target } = durable::task().data();
    for _ in 0..3 {
        let number = get_random_u64();
        durable::notify::notify(target, "drawn", &number).unwrap();
        sleep(Duration::from_millis(10));
    }
}
