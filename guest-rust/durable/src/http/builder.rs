//! Making a request step by step.

use std::fmt::Display;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, MaxSizeReached, CONTENT_TYPE};
use http::Method;
use serde::Serialize;
use url::Url;

use super::error::Kind;
use super::shown::without_user;
use super::{Error, Request, Response};

/// A request in the making.
///
/// The first thing that goes wrong is kept, and returned by
/// [`build`](Self::build) or [`send`](Self::send).
///
/// ```
/// use std::time::Duration;
///
/// let request = durable::http::post("https://shop.example/orders")
///     .header("authorization", "Bearer …")
///     .query(&[("dry-run", true)])
///     .json(&["a hat", "a scarf"])
///     .timeout(Duration::from_secs(5))
///     .build()?;
///
/// assert_eq!(request.url().as_str(), "https://shop.example/orders?dry-run=true");
/// assert_eq!(request.body().unwrap(), br#"["a hat","a scarf"]"#);
/// # Ok::<_, durable::http::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder {
    request: Result<Request, Error>,
}

impl RequestBuilder {
    /// Begin a request with any method.
    ///
    /// ```no_run
    /// use durable::http::{Method, RequestBuilder};
    ///
    /// let response = RequestBuilder::new(Method::OPTIONS, "https://shop.example/").send()?;
    /// # Ok::<_, durable::http::Error>(())
    /// ```
    pub fn new(method: Method, url: impl AsRef<str>) -> Self {
        let request = match Url::parse(url.as_ref()) {
            Ok(url) => Ok(Request::new(method, url)),
            Err(error) => {
                let message = format!("{error}: {}", without_user(url.as_ref()));
                Err(Error::new(Kind::Builder(message), None))
            }
        };
        Self { request }
    }

    /// Add a header. One of the same name stays, too.
    ///
    /// ```
    /// let request = durable::http::get("https://shop.example/")
    ///     .header("accept", "text/plain")
    ///     .header("accept", "text/html")
    ///     .build()?;
    ///
    /// assert_eq!(request.headers().get_all("accept").iter().count(), 2);
    /// # Ok::<_, durable::http::Error>(())
    /// ```
    pub fn header<K, V>(self, name: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        let name = HeaderName::try_from(name).map_err(Into::into);
        let value = HeaderValue::try_from(value).map_err(Into::into);
        self.append(name, value)
    }

    fn append(
        self,
        name: Result<HeaderName, http::Error>,
        value: Result<HeaderValue, http::Error>,
    ) -> Self {
        self.and_then(|request| {
            request.headers_mut().try_append(name?, value?)?;
            Ok(())
        })
    }

    /// Set headers. Those of the same names that were set before are replaced.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.and_then(|request| {
            let present = request.headers_mut();
            for name in headers.keys() {
                present.remove(name);
            }
            for (name, value) in &headers {
                present.try_append(name, value.clone())?;
            }
            Ok(())
        })
    }

    /// How long the request may take, from connecting to the last byte of the
    /// body.
    ///
    /// The host has a limit of its own. It holds for a request without timeout
    /// and for one with a longer timeout.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.and_then(|request| {
            *request.timeout_mut() = Some(timeout);
            Ok(())
        })
    }

    /// Set the body.
    pub fn body(self, body: Vec<u8>) -> Self {
        self.and_then(|request| {
            *request.body_mut() = Some(body);
            Ok(())
        })
    }

    /// Set the body to `value` as JSON.
    ///
    /// Unless there is a `content-type` already, it becomes
    /// `application/json`.
    ///
    /// ```
    /// let request = durable::http::post("https://shop.example/orders")
    ///     .json("a hat")
    ///     .build()?;
    ///
    /// assert_eq!(request.body().unwrap(), br#""a hat""#);
    /// assert_eq!(request.headers()["content-type"], "application/json");
    /// # Ok::<_, durable::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value is not expressible in JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let body = serde_json::to_vec(value).map_err(Reason::new);
        self.typed_body("application/json", body)
    }

    /// Set the body to `value` as an HTML form.
    ///
    /// The value is a structure, a map or a list of pairs. Unless there is a
    /// `content-type` already, it becomes `application/x-www-form-urlencoded`.
    ///
    /// ```
    /// let request = durable::http::post("https://shop.example/orders")
    ///     .form(&[("item", "a hat"), ("size", "57")])
    ///     .build()?;
    ///
    /// assert_eq!(request.body().unwrap(), b"item=a+hat&size=57");
    /// # Ok::<_, durable::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value is not expressible as a form.
    pub fn form<T: Serialize + ?Sized>(self, value: &T) -> Self {
        let body = match serde_urlencoded::to_string(value) {
            Ok(form) => Ok(form.into_bytes()),
            Err(error) => Err(Reason::new(error)),
        };
        self.typed_body("application/x-www-form-urlencoded", body)
    }

    fn typed_body(self, content_type: &'static str, body: Result<Vec<u8>, Reason>) -> Self {
        self.and_then(|request| {
            *request.body_mut() = Some(body?);
            let headers = request.headers_mut();
            if !headers.contains_key(CONTENT_TYPE) {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            Ok(())
        })
    }

    /// Add parameters to the URL.
    ///
    /// The value is a structure, a map or a list of pairs. Parameters that are
    /// there already stay, even those of the same name.
    ///
    /// ```
    /// let request = durable::http::get("https://shop.example/items?page=2")
    ///     .query(&[("color", "light blue"), ("size", "57")])
    ///     .build()?;
    ///
    /// assert_eq!(request.url().query(), Some("page=2&color=light+blue&size=57"));
    /// # Ok::<_, durable::http::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value is not expressible as a query.
    pub fn query<T: Serialize + ?Sized>(self, value: &T) -> Self {
        self.and_then(|request| {
            let url = request.url_mut();
            {
                let mut pairs = url.query_pairs_mut();
                let serializer = serde_urlencoded::Serializer::new(&mut pairs);
                value.serialize(serializer).map_err(Reason::new)?;
            }
            if url.query() == Some("") {
                url.set_query(None);
            }
            Ok(())
        })
    }

    /// The request.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong: a URL, a header or a value that does
    /// not fit. [`is_builder`](Error::is_builder) is true for it.
    pub fn build(self) -> Result<Request, Error> {
        self.request
    }

    /// Send the request and wait for the whole response, as
    /// [`Request::send`] does.
    ///
    /// # Errors
    ///
    /// If the request could not be built, or if there is no response. One with
    /// an error status is a response.
    #[track_caller]
    pub fn send(self) -> Result<Response, Error> {
        self.build()?.send()
    }

    fn and_then(mut self, change: impl FnOnce(&mut Request) -> Result<(), Reason>) -> Self {
        if let Ok(request) = &mut self.request {
            if let Err(Reason(reason)) = change(request) {
                let url = request.url().clone();
                self.request = Err(Error::new(Kind::Builder(reason), Some(url)));
            }
        }
        self
    }
}

/// Why a request cannot be built.
struct Reason(String);

impl Reason {
    fn new(error: impl Display) -> Self {
        Self(error.to_string())
    }
}

impl From<http::Error> for Reason {
    fn from(error: http::Error) -> Self {
        Self::new(error)
    }
}

impl From<MaxSizeReached> for Reason {
    fn from(error: MaxSizeReached) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{get, post};

    const SHOP: &str = "https://shop.example/";

    #[test]
    fn the_first_error_is_kept_with_the_url() {
        let error = get(SHOP)
            .header("x", "a\nb")
            .header("a b", "c")
            .build()
            .unwrap_err();
        assert!(error.is_builder());
        assert_eq!(
            error.to_string(),
            "the request cannot be built (https://shop.example/): failed to parse header value"
        );
    }

    #[test]
    fn a_value_that_is_no_form_and_no_json_is_an_error() {
        let pairs_of_pairs = [("a", [("b", "c")])];
        let unnamed = std::collections::HashMap::from([((1, 2), 3)]);
        assert!(post(SHOP).form(&pairs_of_pairs).build().is_err());
        assert!(post(SHOP).query(&pairs_of_pairs).build().is_err());
        assert!(post(SHOP).json(&unnamed).build().is_err());
    }

    #[test]
    fn headers_replace_those_of_the_same_names() {
        let mut headers = HeaderMap::new();
        headers.append("a", HeaderValue::from_static("new"));
        headers.append("a", HeaderValue::from_static("newer"));
        let request = get(SHOP)
            .header("a", "old")
            .header("b", "kept")
            .headers(headers)
            .build()
            .unwrap();
        let a: Vec<_> = request.headers().get_all("a").iter().collect();
        assert_eq!(a, ["new", "newer"]);
        assert_eq!(request.headers()["b"], "kept");
    }

    #[test]
    fn a_content_type_of_the_program_stays() {
        let request = post(SHOP)
            .header("content-type", "application/vnd.shop+json")
            .json(&7)
            .build()
            .unwrap();
        let content_type: Vec<_> = request.headers().get_all(CONTENT_TYPE).iter().collect();
        assert_eq!(content_type, ["application/vnd.shop+json"]);
    }

    #[test]
    fn an_empty_query_leaves_no_question_mark() {
        let nothing: [(&str, &str); 0] = [];
        let request = get(SHOP).query(&nothing).build().unwrap();
        assert_eq!(request.url().as_str(), SHOP);
    }
    #[test]
    fn no_password_is_shown_whatever_is_wrong() {
        let no_urls = [
            "//me:secret@shop.example",
            "http://me:secret@",
            "http://me:secret@a:b/",
        ];
        let no_header = get("https://me:secret@shop.example/").header("a b", "c");
        for wrong in no_urls.map(get).into_iter().chain([no_header]) {
            let debug = format!("{wrong:?}");
            let shown = format!("{debug} {}", wrong.build().unwrap_err());
            assert!(!shown.contains("me:"), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        let request = get("https://me:secret@shop.example/").build().unwrap();
        assert_eq!(request.url().password(), Some("secret"));
        assert!(!format!("{request:?}").contains("secret"));
    }
}
