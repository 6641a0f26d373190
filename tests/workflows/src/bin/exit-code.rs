//! Exits with a status, which WASI reduces to success or failure.
//!
//! Data: `{"code": N}`. Events: none.

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    code: i32,
}

fn main() {
    let Settings { code } = durable::task().data();
    std::process::exit(code);
}
