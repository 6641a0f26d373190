//! Prints lines of 4 kB (4,096 bytes with the newline) until it printed so many
//! bytes or up to one line more.
//!
//! Data: `{"bytes": N}` or none, which means 1 GiB. Events: one
//! `wasi:io/streams.output-stream.write` for each line.

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bytes: 1 << 30 }
    }
}

fn main() {
    let Settings { bytes } = workflows::settings();
    // With its newline: println! would make two writes of so long a line.
    let line = "x".repeat(4095) + "\n";
    for _ in 0..bytes.div_ceil(4096) {
        print!("{line}");
    }
}
