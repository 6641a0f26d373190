//! Asks a web server, and asks again if there was no good answer.
//!
//! Task data: `{"url": URL}`.

use std::thread::sleep;
use std::time::Duration;

use durable::http::{self, Response, StatusCode};

const ATTEMPTS: u32 = 3;

#[derive(serde::Deserialize)]
struct Settings {
    url: String,
}

fn main() {
    let Settings { url } = durable::task().data();

    match get(&url) {
        Ok(response) => {
            let body = String::from_utf8_lossy(response.body());
            println!("{}", response.status());
            println!("{}", body.lines().next().unwrap_or_default());
        }
        Err(error) => durable::abort(error),
    }
}

/// Every attempt is recorded, and so is every sleep. If the worker dies, another
/// one goes on with the attempt that was next, at the time that was set for it.
fn get(url: &str) -> Result<Response, http::Error> {
    let mut attempt = 1;
    loop {
        let request = http::get(url).timeout(Duration::from_secs(10));
        match request.send().and_then(Response::error_for_status) {
            Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                println!("attempt {attempt} of {ATTEMPTS}: {error}");
                sleep(Duration::from_secs(attempt.into()));
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Whether the same request may have another outcome later. It will not if it
/// is no valid request, or if the server says that the fault is ours.
fn may_pass(error: &http::Error) -> bool {
    match error.status() {
        Some(status) => status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        None => !error.is_builder(),
    }
}
