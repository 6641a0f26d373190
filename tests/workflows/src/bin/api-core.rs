//! Uses every item of the crate's public API that needs no feature, and asserts
//! what it does. That it compiles unchanged is what users are promised.
//!
//! Data: `{"name": NAME, "end": "return" | "abort" | "exit" | "panic"}`, the
//! name is that of the task.
//! Output: `ok`, or what comes of the end.

use std::collections::HashMap;
use std::process;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use durable::notify::{self, Notification, NotifyError, NotifyErrorKind};
use durable::{abort, task, transaction, Error, RawValue, Result, Task};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Settings {
    name: String,
    end: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point<'a> {
    x: i32,
    label: &'a str,
}

fn about_the_task() -> Settings {
    let current: Task = task();
    assert_eq!(current.id(), Task::current().id());
    let raw: &RawValue = current.raw_data();
    let settings: Settings = current.data();
    assert!(raw.get().contains(&settings.name));
    let name: &str = current.name();
    assert_eq!(name, settings.name);
    let created_at: SystemTime = current.created_at();
    assert!(created_at <= SystemTime::now());
    settings
}

/// What is returned went through JSON: the first run sees what a replay sees.
fn transactions() {
    let number: f64 = transaction("number", || f64::NAN.max(1.5));
    assert_eq!(number, 1.5);
    let text: String = transaction("text", || {
        println!("within");
        String::from("grüße")
    });
    assert_eq!(text, "grüße");
    let nothing: Option<u8> = transaction("nothing", || None);
    assert_eq!(nothing, None);
    let failed: Result<u16> = transaction("failed", || Ok("x".parse::<u16>()?));
    assert_eq!(
        failed.unwrap_err().to_string(),
        "invalid digit found in string"
    );
}

fn errors() -> Result<(), Error> {
    let parse_error = "x".parse::<i32>().unwrap_err();
    let new = Error::new(parse_error.clone());
    let converted: Error = parse_error.into();
    assert_eq!(new, converted);
    let message = Error::msg("out of stock");
    assert_eq!(message.chain().collect::<Vec<_>>(), ["out of stock"]);
    let standard = message.into_std_error();
    let standard: &dyn std::error::Error = &standard;
    assert!(standard.source().is_none());
    let read: Error = serde_json::from_str(&serde_json::to_string(&new)?)?;
    assert_eq!(format!("{read} {read:?} {read:#}"), format!("{new} {new:?} {new:#}"));
    Ok(())
}

fn notifications() {
    let this = task().id();
    let point = Point { x: 1, label: "a" };
    let sent: std::result::Result<(), NotifyError> = notify::notify(this, "point", &point);
    assert!(sent.is_ok());
    notify::notify(this, "text", "unsized").unwrap();
    let notification: Notification = notify::wait();
    assert_eq!(notification.event, "point");
    assert_eq!(notification.json::<Point>().unwrap(), point);
    let _: &SystemTime = &notification.created_at;
    let second = notify::wait_with_timeout(Duration::from_secs(60)).unwrap();
    let data: Box<RawValue> = second.data;
    assert_eq!(data.get(), "\"unsized\"");
    assert!(notify::wait_with_timeout(Duration::from_millis(1)).is_none());
    let error = notify::notify(i64::MAX, "nobody", &()).unwrap_err();
    match error.kind() {
        NotifyErrorKind::TaskNotFound => {}
        NotifyErrorKind::TaskDead | NotifyErrorKind::Other => panic!("{error}"),
        _ => unreachable!(),
    }
}

fn the_standard_library() {
    let started = Instant::now();
    sleep(Duration::from_millis(2));
    assert!(started.elapsed() >= Duration::from_millis(2));
    assert!(SystemTime::now() > SystemTime::UNIX_EPOCH);
    let map = HashMap::from([("a", 1)]);
    assert_eq!(map["a"], 1);
    eprintln!("to the log");
}

fn main() {
    let settings = about_the_task();
    transactions();
    errors().unwrap();
    notifications();
    the_standard_library();
    println!("ok");
    match settings.end.as_str() {
        "abort" => abort("no more"),
        "exit" => process::exit(0),
        "panic" => transaction("panic", || panic!("within a transaction")),
        _ => {}
    }
}
