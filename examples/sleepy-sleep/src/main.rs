//! One long sleep. The task leaves memory meanwhile, and whichever worker is
//! there when the time has come wakes it up.
//!
//! Task data: `{"seconds": N}`, or none.

use std::thread::sleep;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(default)]
struct Settings {
    seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seconds: 600 }
    }
}

fn main() {
    let settings: Option<Settings> = durable::task().data();
    let Settings { seconds } = settings.unwrap_or_default();

    println!("going to sleep for {seconds} seconds");
    sleep(Duration::from_secs(seconds));
    println!("awake again");
}
