//! A request that is complete.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, Method};
use url::Url;

use super::shown::Shown;
use super::{host, Error, Response};
use crate::transaction;

/// A request that can be looked at, changed and sent.
///
/// Most programs need only [`RequestBuilder`](super::RequestBuilder).
///
/// ```no_run
/// use durable::http::{Method, Request, Url};
///
/// let url = Url::parse("https://shop.example/orders/4711")?;
/// let mut request = Request::new(Method::DELETE, url);
/// request.headers_mut().insert("authorization", "Bearer …".try_into()?);
/// let response = request.send()?;
/// # Ok::<_, durable::Error>(())
/// ```
#[derive(Clone)]
pub struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

impl Request {
    /// A request without headers, body and timeout.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            timeout: None,
        }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The method, to change it.
    pub fn method_mut(&mut self) -> &mut Method {
        &mut self.method
    }

    /// The URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL, to change it.
    pub fn url_mut(&mut self) -> &mut Url {
        &mut self.url
    }

    /// The headers. The host adds those that HTTP demands, such as `host`.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The body.
    pub fn body(&self) -> Option<&Vec<u8>> {
        self.body.as_ref()
    }

    /// The body, to change it.
    pub fn body_mut(&mut self) -> &mut Option<Vec<u8>> {
        &mut self.body
    }

    /// How long the whole request may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// How long the whole request may take, to change it. See
    /// [`RequestBuilder::timeout`](super::RequestBuilder::timeout).
    pub fn timeout_mut(&mut self) -> &mut Option<Duration> {
        &mut self.timeout
    }

    /// Send the request and wait for the whole response.
    ///
    /// Outside a transaction this is one of its own, with the label
    /// `durable::http::send(METHOD URL)`.
    ///
    /// # Errors
    ///
    /// If there is no response. One with an error status is a response.
    #[track_caller]
    pub fn send(&self) -> Result<Response, Error> {
        if transaction::is_open() {
            return host::fetch(self);
        }
        let label = format!("durable::http::send({} {})", self.method, self.url);
        match transaction::attempt(&label, None, || host::fetch(self)) {
            Ok(answer) => answer,
            Err(error) => panic!(
                "cannot read the record of {} {}: {error}",
                self.method,
                Shown(&self.url)
            ),
        }
    }
}

/// Without user and password of the URL.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &Shown(&self.url))
            .field("headers", &self.headers)
            .field("body", &self.body)
            .field("timeout", &self.timeout)
            .finish()
    }
}
