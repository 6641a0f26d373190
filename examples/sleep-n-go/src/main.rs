//! Sleeps and goes on, again and again. Kill its worker in the middle: another
//! one carries on, and no line is missing or printed twice.
//!
//! Task data: `{"count": N, "seconds": N}`, either of them, or none.

use std::thread::sleep;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(default)]
struct Settings {
    count: u32,
    seconds: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            count: 20,
            seconds: 1.0,
        }
    }
}

fn main() {
    let settings: Option<Settings> = durable::task().data();
    let Settings { count, seconds } = settings.unwrap_or_default();

    for i in 1..=count {
        sleep(Duration::from_secs_f64(seconds));
        println!("{i} of {count}");
    }
}
