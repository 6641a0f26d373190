//! Sends one GET request and prints the status and the length of the body, or
//! the error.
//!
//! Data: `{"url": URL, "outside": BOOL}`, `outside` is false if left out. With
//! it the request is sent outside a transaction: the host traps.
//! Events: `get`, `wasi:io/streams.output-stream.write`.

use serde::Deserialize;
use workflows::host::http::{fetch2, HttpRequest2};

#[derive(Deserialize)]
struct Settings {
    url: String,
    #[serde(default)]
    outside: bool,
}

fn get(url: &str) -> String {
    let response = HttpRequest2::new("GET", url).and_then(fetch2);
    match response {
        Ok(response) => format!("{}, {} bytes", response.status, response.body.len()),
        Err(error) => error.message(),
    }
}

fn main() {
    let Settings { url, outside } = durable::task().data();
    let outcome = if outside {
        get(&url)
    } else {
        durable::transaction("get", || get(&url))
    };
    println!("{outcome}");
}
