//! HTTP requests. (Needs the feature `http`.)
//!
//! ```no_run
//! #[derive(serde::Deserialize)]
//! struct Quote {
//!     cents: u64,
//! }
//!
//! let quote: Quote = durable::http::get("https://shop.example/quote")
//!     .query(&[("item", "4711")])
//!     .send()?
//!     .error_for_status()?
//!     .json()?;
//! println!("{} cents", quote.cents);
//! # Ok::<_, durable::Error>(())
//! ```
//!
//! # Once, unless the machine dies
//!
//! Outside a transaction every `send` is a transaction of its own: its answer,
//! be it a response or an error, is recorded, and a task that is run again gets
//! the record instead of asking the server again. Within a transaction `send`
//! just sends, and what the transaction returns is recorded. Do so if you want
//! a small part of a large response, or if several requests belong together.
//!
//! A machine may die after the server got the request and before the answer was
//! recorded. The request is then sent again, so a request that does something
//! must be one that the server recognises when it comes twice: give it a key
//! of your own, such as the id of the task and the name of the step. (The host
//! can add a key to every request, in a header that its configuration names.)
//!
//! A response with an error status is a response:
//! [`error_for_status`](Response::error_for_status) makes an error of it.
//! Nothing is tried again by itself. Do it where you know what may be tried
//! again, with `thread::sleep` in between.
//!
//! # What is recorded
//!
//! The event has the label `durable::http::send(METHOD URL)` and the value
//!
//! ```json
//! {"type": "value", "data": {"Ok": {
//!     "url": "https://shop.example/quote?item=4711",
//!     "status": 200,
//!     "headers": {"content-type": "application/json", "set-cookie": ["a=1", "b=2"]},
//!     "body": "{\"cents\": 1999}"
//! }}}
//! ```
//!
//! or, with the kind of error and what is to be said about it,
//!
//! ```json
//! {"type": "value", "data": {"Err": {
//!     "kind": {"connect": "connection refused"},
//!     "url": "https://shop.example/quote?item=4711"
//! }}}
//! ```
//!
//! * A body is a string if it is UTF-8 without U+0000 (which the database
//!   cannot store in a string), otherwise an array of its bytes as numbers.
//! * A header is a string, too. One that was sent repeatedly is an array of its
//!   values, in their order; so is one whose value is not UTF-8, and this value
//!   an array of its bytes.
//! * The kinds of errors are `builder`, `timeout`, `connect` and `request` with
//!   a message, and `status` with the number.
//!
//! Request headers and bodies are not recorded, URLs are: keep secrets out of
//! URLs. (User and password of a URL are in what is recorded, but neither in the
//! label nor in any message: [errors](Error), requests and responses are shown
//! without them.) An array of numbers takes about four times the space of the bytes, and
//! the host limits the size of an event: process large binary responses within
//! a transaction.
//!
//! # Small programs
//!
//! Domain names that are not ASCII need Unicode tables of more than 100 kB, and
//! Rust 1.88. If you have no such names, leave the tables out:
//!
//! ```text
//! cargo update -p idna_adapter --precise 1.0.0
//! ```
//!
//! A URL with such a name is then an error of [kind](Error::is_builder)
//! `builder`.

#[allow(missing_docs)]
mod bindings;
mod builder;
mod error;
mod host;
mod json;
mod request;
mod response;
mod shown;

pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use url::Url;

pub use self::builder::RequestBuilder;
pub use self::error::Error;
pub use self::request::Request;
pub use self::response::Response;

/// Begin a `GET` request.
///
/// ```no_run
/// let response = durable::http::get("https://shop.example/").send()?;
/// println!("{}", response.status());
/// # Ok::<_, durable::http::Error>(())
/// ```
pub fn get(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::GET, url)
}

/// Begin a `POST` request.
///
/// ```no_run
/// let response = durable::http::post("https://shop.example/orders")
///     .json(&[4711])
///     .send()?;
/// # Ok::<_, durable::http::Error>(())
/// ```
pub fn post(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::POST, url)
}

/// Begin a `PUT` request.
pub fn put(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::PUT, url)
}

/// Begin a `PATCH` request.
pub fn patch(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::PATCH, url)
}

/// Begin a `DELETE` request.
pub fn delete(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::DELETE, url)
}

/// Begin a `HEAD` request.
pub fn head(url: impl AsRef<str>) -> RequestBuilder {
    RequestBuilder::new(Method::HEAD, url)
}
