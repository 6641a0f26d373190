//! Six different things to record. The events are, exactly:
//!
//! - 0 `wasi:io/streams.output-stream.write` (`started`)
//! - 1 `wasi:clocks/wall-clock.now`
//! - 2 `wasi:random/random.get-random-u64`
//! - 3 `step`, with `{"sum": N, "text": "…"}`; prints `in the step`
//! - 4 `wasi:clocks/monotonic-clock.now` (a sleep of 50 ms …
//! - 5 `wasi:io/poll.pollable.block` … and its end)
//! - 6 `wasi:io/streams.output-stream.write` (`SECONDS NUMBER SUM TEXT`)

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use workflows::host::random::get_random_u64;

#[derive(Serialize, Deserialize)]
struct Step {
    sum: u64,
    text: String,
}

fn main() {
    println!("started");
    let time = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let number = get_random_u64();
    let Step { sum, text } = durable::transaction("step", || {
        println!("in the step");
        Step {
            sum: time.as_secs().wrapping_add(number),
            text: "grüße".into(),
        }
    });
    sleep(Duration::from_millis(50));
    println!("{} {number} {sum} {text}", time.as_secs());
}
