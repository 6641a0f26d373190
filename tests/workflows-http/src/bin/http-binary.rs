//! Posts all 256 byte values to a server that sends a request's body back, once
//! as a transaction of its own and once within one, and prints how many bytes
//! came back as they were.
//!
//! Data: `{"url": URL}`.
//! Events: `durable::http::send(POST URL)`, `within`, one
//! `wasi:io/streams.output-stream.write` (`256 256`).

use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    url: String,
}

fn echo(url: &str, bytes: &[u8]) -> Result<Vec<u8>, durable::http::Error> {
    let request = durable::http::post(url)
        .header("content-type", "application/octet-stream")
        .body(bytes.to_vec());
    Ok(request.send()?.error_for_status()?.into_body())
}

fn main() {
    let Settings { url } = durable::task().data();
    let bytes: Vec<u8> = (0..=255).collect();

    let outside = echo(&url, &bytes).expect("an answer");
    let within = durable::transaction("within", || echo(&url, &bytes)).expect("an answer");

    let same = |back: &[u8]| back.iter().zip(&bytes).filter(|(a, b)| a == b).count();
    println!("{} {}", same(&outside), same(&within));
}
