//! Asks the clocks everything they can answer and prints what is wrong with
//! it, or `clocks are fine`.
//!
//! Events, in order:
//!
//! - 0–999 `wasi:clocks/monotonic-clock.now`
//! - 1000 `wasi:clocks/wall-clock.now`
//! - 1001 `wasi:clocks/monotonic-clock.now` (a duration of 20 ms is subscribed to …
//! - 1002 `wasi:io/pollable.pollable.ready`  … asked for …
//! - 1003 `wasi:io/poll.pollable.block`      … waited for …
//! - 1004 `wasi:io/pollable.pollable.ready`  … and asked for again)
//! - 1005 `wasi:clocks/monotonic-clock.now`
//! - 1006 `wasi:io/poll.poll` (an instant in the past, and one in an hour)
//! - 1007 `wasi:io/streams.output-stream.write`

use std::time::{Duration, Instant, SystemTime};

use workflows::host::monotonic_clock::{now, resolution, subscribe_duration, subscribe_instant};
use workflows::host::{poll::poll, wall_clock};

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3600 * 1000 * MILLISECOND;

fn main() {
    let mut wrong = Vec::new();
    let mut check = |is_right: bool, what: &'static str| {
        if !is_right {
            wrong.push(what);
        }
    };

    check(resolution() > 0, "the monotonic clock has no resolution");
    check(
        wall_clock::resolution().nanoseconds > 0,
        "the wall clock has no resolution",
    );

    let instants: Vec<Instant> = (0..998).map(|_| Instant::now()).collect();
    check(instants.is_sorted(), "the monotonic clock goes backwards");
    let before = now();
    check(now() >= before, "the monotonic clock goes backwards");

    let since_2020 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
    check(SystemTime::now() > since_2020, "the wall clock is wrong");

    let timer = subscribe_duration(20 * MILLISECOND);
    check(!timer.ready(), "a timer is ready at once");
    timer.block();
    check(timer.ready(), "a timer that was waited for is not ready");
    let after = now();
    check(after >= before + 20 * MILLISECOND, "a timer fires early");

    let past = subscribe_instant(before);
    let future = subscribe_instant(after + HOUR);
    check(
        poll(&[&future, &past]) == [1],
        "poll does not tell which timer is ready",
    );

    if wrong.is_empty() {
        println!("clocks are fine");
    } else {
        println!("{}", wrong.join("; "));
    }
}
