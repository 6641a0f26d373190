//! Ten transactions, or as many as told.
//!
//! Data: `{"n": K}` or none. Events: `step-1` … `step-K` with the values 1 … K.

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    n: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { n: 10 }
    }
}

fn main() {
    let settings: Settings = workflows::settings();
    for i in 1..=settings.n {
        durable::transaction(&format!("step-{i}"), || i);
    }
}
