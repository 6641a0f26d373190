//! What the server answered.

use std::fmt;
use std::mem;
use std::str::{self, Utf8Error};
use std::string::FromUtf8Error;

use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::error::Kind;
use super::shown::Shown;
use super::{json, Error};

/// What the server answered, with the whole body.
///
/// It can be the result of a transaction.
#[derive(Clone, Serialize, Deserialize)]
pub struct Response {
    pub(super) url: Url,
    #[serde(with = "json::status")]
    pub(super) status: StatusCode,
    #[serde(with = "json::headers")]
    pub(super) headers: HeaderMap,
    #[serde(with = "json::bytes")]
    pub(super) body: Vec<u8>,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The URL that was asked for. (Where redirects led to is not known.)
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, without the rest.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The body, which is empty in the response from now on.
    pub fn take_body(&mut self) -> Vec<u8> {
        mem::take(&mut self.body)
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8, whatever the headers say.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        str::from_utf8(&self.body)
    }

    /// The body as text, without the rest.
    ///
    /// # Errors
    ///
    /// If it is not UTF-8. The error has the bytes.
    pub fn into_text(self) -> Result<String, FromUtf8Error> {
        String::from_utf8(self.body)
    }

    /// The body as a value of the program, read from JSON.
    ///
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct Weather<'a> {
    ///     sky: &'a str,
    ///     celsius: f32,
    /// }
    ///
    /// let response = durable::http::get("https://weather.example/today").send()?;
    /// let weather: Weather = response.json()?;
    /// # Ok::<_, durable::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the body is not the JSON of a `T`.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// The response, unless its status is one of the errors 400 to 599.
    ///
    /// # Errors
    ///
    /// If it is. [`Error::status`] tells which; the rest of the response is
    /// gone.
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.status.is_client_error() || self.status.is_server_error() {
            return Err(Error::new(Kind::Status(self.status), Some(self.url)));
        }
        Ok(self)
    }
}

/// Without user and password of the URL.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("url", &Shown(&self.url))
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &[u8]) -> Response {
        Response {
            url: Url::parse("https://shop.example/").unwrap(),
            status: status.try_into().unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
        }
    }

    #[test]
    fn it_is_recorded_and_read_back_whatever_the_order_of_its_keys() {
        let mut response = response(200, b"hello");
        response.headers.insert("x-id", "7".try_into().unwrap());
        let json = serde_json::to_string(&response).unwrap();
        assert_eq!(
            json,
            r#"{"url":"https://shop.example/","status":200,"headers":{"x-id":"7"},"body":"hello"}"#
        );
        let sorted = r#"{"url": "https://shop.example/", "body": "hello", "status": 200, "headers": {"x-id": "7"}}"#;
        let read: Response = serde_json::from_str(sorted).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
    }

    #[test]
    fn it_can_be_a_part_of_what_is_recorded() {
        #[derive(Serialize, Deserialize)]
        #[serde(tag = "what")]
        enum Recorded {
            Paid(Response),
        }
        let mut paid = response(200, b"\xff");
        paid.headers.append("x", "1".try_into().unwrap());
        paid.headers.append("x", "2".try_into().unwrap());
        let json = serde_json::to_string(&Recorded::Paid(paid.clone())).unwrap();
        let Recorded::Paid(read) = serde_json::from_str(&json).unwrap();
        assert_eq!((read.body, read.headers), (paid.body, paid.headers));
    }

    #[test]
    fn only_client_and_server_errors_are_errors() {
        for status in [200, 204, 302, 399, 600] {
            assert!(response(status, b"").error_for_status().is_ok());
        }
        for status in [400, 404, 500, 599] {
            let error = response(status, b"").error_for_status().unwrap_err();
            assert_eq!(error.status().unwrap(), status);
            assert_eq!(error.url().unwrap().as_str(), "https://shop.example/");
        }
    }

    #[test]
    fn a_body_that_was_taken_is_gone() {
        let mut response = response(200, b"hello");
        assert_eq!(response.take_body(), b"hello");
        assert_eq!(response.text(), Ok(""));
    }
    #[test]
    fn it_shows_no_password() {
        let mut response = response(200, b"");
        response.url = Url::parse("https://me:secret@shop.example/").unwrap();
        assert_eq!(
            format!("{response:?}"),
            r#"Response { url: "https://shop.example/", status: 200, headers: {}, body: [] }"#
        );
    }
}
