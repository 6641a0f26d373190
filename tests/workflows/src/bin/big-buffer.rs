//! Asks for random bytes in one piece, by default one more than 8 MiB, and
//! prints how many came.
//!
//! Data: `{"bytes": N}` or none. Events: `wasi:random/random.get-random-bytes`
//! unless the host traps, `wasi:io/streams.output-stream.write`.

use serde::Deserialize;
use workflows::host::random::get_random_bytes;

#[derive(Deserialize)]
struct Settings {
    bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bytes: (8 << 20) + 1,
        }
    }
}

fn main() {
    let Settings { bytes } = workflows::settings();
    println!("{}", get_random_bytes(bytes).len());
}
