//! Sends one request and prints what came of it as one line of JSON: the
//! response, or what the error says of itself.
//!
//! Data: `{"url": URL, "method": TEXT, "headers": [[NAME, VALUE], …], "body":
//! TEXT, "timeout_ms": N}`, all but the URL may be left out.
//! Output: `{"status": N, "url": URL, "headers": [[NAME, VALUE], …], "body":
//! TEXT}` or `{"error": TEXT, "kinds": [KIND, …], "status": N, "url": URL}`.
//! Text that is not UTF-8 is printed with replacement characters.
//! Events: `durable::http::send(METHOD URL)` (none if the request cannot be
//! built), `wasi:io/streams.output-stream.write`.

use std::time::Duration;

use durable::http::{Error, Method, RequestBuilder, Response};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Settings {
    url: String,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Option<String>,
    timeout_ms: Option<u64>,
}

fn get() -> String {
    "GET".into()
}

fn send(settings: Settings) -> Result<Response, Error> {
    let method = Method::try_from(settings.method.as_str()).expect("a method");
    let mut request = RequestBuilder::new(method, &settings.url);
    for (name, value) in settings.headers {
        request = request.header(name, value);
    }
    if let Some(body) = settings.body {
        request = request.body(body.into_bytes());
    }
    if let Some(timeout_ms) = settings.timeout_ms {
        request = request.timeout(Duration::from_millis(timeout_ms));
    }
    request.send()
}

fn of_response(response: &Response) -> serde_json::Value {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(&str, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), text(value.as_bytes())))
        .collect();
    json!({
        "status": response.status().as_u16(),
        "url": response.url().as_str(),
        "headers": headers,
        "body": text(response.body()),
    })
}

fn of_error(error: &Error) -> serde_json::Value {
    let kinds = [
        ("builder", error.is_builder()),
        ("timeout", error.is_timeout()),
        ("request", error.is_request()),
        ("connect", error.is_connect()),
        ("status", error.is_status()),
    ];
    let kinds: Vec<&str> = kinds
        .iter()
        .filter(|kind| kind.1)
        .map(|kind| kind.0)
        .collect();
    json!({
        "error": error.to_string(),
        "kinds": kinds,
        "status": error.status().map(|status| status.as_u16()),
        "url": error.url().map(|url| url.as_str()),
    })
}

fn main() {
    match send(durable::task().data()) {
        Ok(response) => println!("{}", of_response(&response)),
        Err(error) => println!("{}", of_error(&error)),
    }
}
