//! Requests and responses as the host has them.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::bindings::durable::core::http as host;
use super::error::Kind;
use super::{Error, Request, Response};

/// Send a request. Only within a transaction.
pub(super) fn fetch(request: &Request) -> Result<Response, Error> {
    exchange(request).map_err(|kind| Error::new(kind, Some(request.url().clone())))
}

fn exchange(request: &Request) -> Result<Response, Kind> {
    let received = host::fetch2(outgoing(request)?)?;
    Ok(Response {
        url: request.url().clone(),
        status: status(received.status)?,
        headers: headers(received.headers)?,
        body: received.body,
    })
}

fn outgoing(request: &Request) -> Result<host::HttpRequest2, Kind> {
    let outgoing = host::HttpRequest2::new(request.method().as_str(), request.url().as_str())?;
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| host::HttpHeader {
            name: name.as_str().into(),
            value: value.as_bytes().into(),
        })
        .collect();
    outgoing.set_headers(&headers)?;
    if let Some(timeout) = request.timeout() {
        outgoing.set_timeout(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    }
    if let Some(body) = request.body() {
        outgoing.set_body(body);
    }
    Ok(outgoing)
}

fn status(status: u16) -> Result<StatusCode, Kind> {
    StatusCode::from_u16(status)
        .map_err(|_| Kind::Request(format!("the server sent the invalid status {status}")))
}

fn headers(received: Vec<host::HttpHeader>) -> Result<HeaderMap, Kind> {
    let mut headers = HeaderMap::new();
    for host::HttpHeader { name, value } in received {
        let (Ok(key), Ok(value)) = (HeaderName::try_from(&name), HeaderValue::try_from(value))
        else {
            let message = format!("the server sent an invalid header {name:?}");
            return Err(Kind::Request(message));
        };
        if headers.try_append(key, value).is_err() {
            return Err(Kind::Request("the server sent too many headers".into()));
        }
    }
    Ok(headers)
}

impl From<host::HttpError2> for Kind {
    fn from(error: host::HttpError2) -> Self {
        // The database cannot store U+0000, and an error must be recordable.
        let message = error.message().replace('\0', "\u{fffd}");
        if error.is_builder() {
            Self::Builder(message)
        } else if error.is_timeout() {
            Self::Timeout(message)
        } else if error.is_connect() {
            Self::Connect(message)
        } else {
            Self::Request(message)
        }
    }
}
