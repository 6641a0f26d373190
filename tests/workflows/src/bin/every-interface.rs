//! One step of every kind, each telling the outside the number that was drawn
//! in the beginning.
//!
//! Data: `{"url": URL, "table": NAME}`. The events are, exactly:
//!
//! - 0 `wasi:io/streams.output-stream.write` (`started`)
//! - 1 `wasi:clocks/wall-clock.now`
//! - 2 `wasi:random/random.get-random-u64`
//! - 3 `sql`: inserts (task, number) into the table; prints `in the table`
//! - 4 `post`: posts `TASK NUMBER` to the URL; the result is the status
//! - 5 `durable:core/notify.notify`: `drawn`, the number, to itself
//! - 6 `durable:core/notify.notification-blocking`: takes that
//! - 7 `durable:core/notify.notification-blocking-timeout`: nothing in 10 ms
//! - 8 `wasi:clocks/monotonic-clock.now` (a sleep of 400 ms …
//! - 9 `wasi:io/poll.pollable.block` … and its end)
//! - 10 `wasi:io/streams.output-stream.write` (`NUMBER STATUS TAKEN`)

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use workflows::host::core::{transaction_enter, transaction_exit};
use workflows::host::http::{fetch2, HttpRequest2};
use workflows::host::random::get_random_u64;
use workflows::host::sql::{query, Options};

#[derive(Deserialize)]
struct Settings {
    url: String,
    table: String,
}

fn insert(table: &str, task: i64, number: u64) {
    if transaction_enter("sql", true).is_none() {
        println!("in the table");
        let nothing_back = Options {
            limit: 0,
            persistent: false,
        };
        query(
            &format!("INSERT INTO {table} VALUES ({task}, {number})"),
            vec![],
            nothing_back,
        );
        transaction_exit("null");
    }
}

fn post(url: &str, task: i64, number: u64) -> u16 {
    durable::transaction("post", || {
        let request = HttpRequest2::new("POST", url).unwrap();
        request.set_body(format!("{task} {number}").as_bytes());
        fetch2(request).unwrap().status
    })
}

fn main() {
    println!("started");
    let task = durable::task();
    let Settings { url, table } = task.data();
    let _now = SystemTime::now();
    let number = get_random_u64();
    insert(&table, task.id(), number);
    let status = post(&url, task.id(), number);
    durable::notify::notify(task.id(), "drawn", &number).unwrap();
    let taken = durable::notify::wait();
    assert!(durable::notify::wait_with_timeout(Duration::from_millis(10)).is_none());
    sleep(Duration::from_millis(400));
    println!("{number} {status} {}", taken.data);
}
