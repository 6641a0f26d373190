//! Why there is no response.

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;

use super::json;
use super::shown::Shown;

/// Why there is no response, or a [response](super::Response::error_for_status)
/// that is an error.
///
/// It can be the result of a transaction. It is shown, by `{}` and `{:?}`,
/// without user and password of the URL.
///
/// ```no_run
/// let greeting = durable::transaction("greet", || -> Result<String, durable::http::Error> {
///     let response = durable::http::get("https://shop.example/").send()?;
///     Ok(response.error_for_status()?.text().unwrap_or_default().into())
/// });
///
/// match greeting {
///     Ok(greeting) => println!("{greeting}"),
///     Err(error) if error.is_timeout() => println!("the shop is slow today"),
///     Err(error) => durable::abort(error),
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    kind: Kind,
    url: Option<Url>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Builder(String),
    Timeout(String),
    Connect(String),
    Request(String),
    Status(#[serde(with = "json::status")] StatusCode),
}

impl Error {
    pub(super) fn new(kind: Kind, url: Option<Url>) -> Self {
        Self { kind, url }
    }

    /// The request could not be built: its URL, a header or its body is not a
    /// valid one. Nothing was sent, and sending it again will not help.
    ///
    /// ```
    /// let error = durable::http::get("shop.example").build().unwrap_err();
    ///
    /// assert!(error.is_builder());
    /// ```
    pub fn is_builder(&self) -> bool {
        matches!(self.kind, Kind::Builder(_))
    }

    /// The time was over before the response was complete. The server may have
    /// done what it was asked for.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::Timeout(_))
    }

    /// The request failed while it was sent or while the response was read. The
    /// server may have done what it was asked for. Also: the host does not
    /// allow requests to this address.
    pub fn is_request(&self) -> bool {
        matches!(self.kind, Kind::Request(_))
    }

    /// There was no connection to the server, which did not get the request.
    pub fn is_connect(&self) -> bool {
        matches!(self.kind, Kind::Connect(_))
    }

    /// The response has an error status. Only
    /// [`error_for_status`](super::Response::error_for_status) makes such
    /// errors.
    pub fn is_status(&self) -> bool {
        matches!(self.kind, Kind::Status(_))
    }

    /// The status of the response, if that is the error.
    pub fn status(&self) -> Option<StatusCode> {
        match self.kind {
            Kind::Status(status) => Some(status),
            _ => None,
        }
    }

    /// The URL of the request, if it is known.
    pub fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// The same error with another URL.
    pub fn with_url(self, url: Url) -> Self {
        Self {
            url: Some(url),
            ..self
        }
    }

    /// The same error without the URL, which may hold something secret.
    pub fn without_url(self) -> Self {
        Self { url: None, ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, message) = match &self.kind {
            Kind::Builder(message) => ("the request cannot be built", message.as_str()),
            Kind::Timeout(message) => ("the request timed out", message.as_str()),
            Kind::Connect(message) => ("cannot connect", message.as_str()),
            Kind::Request(message) => ("the request failed", message.as_str()),
            Kind::Status(status) => {
                write!(f, "HTTP status {status}")?;
                ("", "")
            }
        };
        f.write_str(what)?;
        if let Some(url) = &self.url {
            write!(f, " ({})", Shown(url))?;
        }
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("url", &self.url.as_ref().map(Shown))
            .finish()
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Option<Url> {
        Some(Url::parse("https://shop.example/").unwrap())
    }

    #[test]
    fn every_kind_is_recorded_and_read_back() {
        let all = [
            (Kind::Builder("no host".into()), r#"{"builder":"no host"}"#),
            (Kind::Timeout("5 s".into()), r#"{"timeout":"5 s"}"#),
            (Kind::Connect("refused".into()), r#"{"connect":"refused"}"#),
            (Kind::Request("reset".into()), r#"{"request":"reset"}"#),
            (Kind::Status(StatusCode::NOT_FOUND), r#"{"status":404}"#),
        ];
        for (kind, json) in all {
            let error = Error::new(kind, url());
            let json = format!(r#"{{"kind":{json},"url":"https://shop.example/"}}"#);
            assert_eq!(serde_json::to_string(&error).unwrap(), json);
            assert_eq!(serde_json::from_str::<Error>(&json).unwrap(), error);
        }
    }

    #[test]
    fn an_error_without_url_is_read_back_without_one() {
        let error = Error::new(Kind::Timeout("5 s".into()), url()).without_url();
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(json, r#"{"kind":{"timeout":"5 s"},"url":null}"#);
        assert_eq!(serde_json::from_str::<Error>(&json).unwrap().url(), None);
    }

    #[test]
    fn it_says_what_happened_and_where() {
        let timeout = Error::new(Kind::Timeout("after 5 s".into()), url());
        assert_eq!(
            timeout.to_string(),
            "the request timed out (https://shop.example/): after 5 s"
        );
        let missing = Error::new(Kind::Status(StatusCode::NOT_FOUND), url());
        assert_eq!(
            missing.to_string(),
            "HTTP status 404 Not Found (https://shop.example/)"
        );
        assert_eq!(
            missing.without_url().to_string(),
            "HTTP status 404 Not Found"
        );
    }
    #[test]
    fn it_shows_no_password_and_keeps_it() {
        let url = Url::parse("https://me:secret@shop.example/a@b").unwrap();
        let error = Error::new(Kind::Connect("refused".into()), Some(url.clone()));
        assert_eq!(
            error.to_string(),
            "cannot connect (https://shop.example/a@b): refused"
        );
        assert_eq!(
            format!("{error:?}"),
            r#"Error { kind: Connect("refused"), url: Some("https://shop.example/a@b") }"#
        );
        assert_eq!(error.url(), Some(&url));
        let recorded = serde_json::to_string(&error).unwrap();
        assert_eq!(serde_json::from_str::<Error>(&recorded).unwrap(), error);
    }
}
