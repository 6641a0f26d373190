//! Prints so many bytes within one transaction, in lines of 100 bytes (with
//! the newline). The last one is shorter and has no newline.
//!
//! Data: `{"bytes": N}`. Events: `print`.

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    bytes: usize,
}

fn main() {
    let Settings { bytes } = durable::task().data();
    let line = "x".repeat(99);
    durable::transaction("print", || {
        for _ in 0..bytes / 100 {
            println!("{line}");
        }
        print!("{}", "x".repeat(bytes % 100));
    });
}
