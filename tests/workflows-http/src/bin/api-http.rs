//! Uses every item of `durable::http`, and asserts what it does. That it
//! compiles unchanged is what users are promised.
//!
//! Data: `{"url": URL}` of a server that answers every request with the status
//! 200, with the header `x-method` and, unless the method is HEAD, with the
//! body `{"method": METHOD}`.
//! Output: `ok`.

use std::time::Duration;

use durable::http::{
    delete, get, head, patch, post, put, Error, HeaderMap, HeaderName, HeaderValue, Method,
    Request, RequestBuilder, Response, StatusCode, Url,
};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Settings {
    url: Url,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Answer<'a> {
    method: &'a str,
}

const HAT: Answer = Answer { method: "hat" };

fn builder() -> Result<(), Error> {
    let mut more = HeaderMap::new();
    more.insert("x-one", HeaderValue::from_static("replaced"));
    more.append("x-two", HeaderValue::from_static("a"));
    more.append("x-two", HeaderValue::from_static("b"));
    let request: Request = RequestBuilder::new(Method::POST, "https://shop.example/a?b=c")
        .header("x-one", "1")
        .header(
            HeaderName::from_static("x-name"),
            HeaderValue::from_static("v"),
        )
        .header(String::from("x-owned"), &String::from("w"))
        .header("x-bytes", b"\xe9".as_slice())
        .headers(more)
        .timeout(Duration::from_millis(1500))
        .query(&[("d", "e f")])
        .query(&HAT)
        .body(b"text".to_vec())
        .build()?;
    assert_eq!(request.method(), Method::POST);
    assert_eq!(
        request.url().as_str(),
        "https://shop.example/a?b=c&d=e+f&method=hat"
    );
    assert_eq!(request.headers()["x-one"], "replaced");
    assert_eq!(request.headers().get_all("x-two").iter().count(), 2);
    assert_eq!(request.headers()["x-owned"], "w");
    assert_eq!(request.body(), Some(&b"text".to_vec()));
    assert_eq!(request.timeout(), Some(Duration::from_millis(1500)));

    let json = put("https://shop.example").json(&HAT).build()?;
    assert_eq!(json.body().unwrap(), br#"{"method":"hat"}"#);
    assert_eq!(json.headers()["content-type"], "application/json");

    let form = patch(String::from("https://shop.example"))
        .form(&HAT)
        .build()?;
    assert_eq!(form.body().unwrap(), b"method=hat");
    assert_eq!(
        form.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    Ok(())
}

fn request(url: &Url) -> Result<Response, Error> {
    let mut request = Request::new(Method::GET, Url::parse("https://shop.example").unwrap());
    *request.method_mut() = Method::from_bytes(b"PROPFIND").unwrap();
    *request.url_mut() = url.clone();
    request
        .headers_mut()
        .insert("x-one", HeaderValue::from_static("1"));
    *request.body_mut() = Some(b"text".to_vec());
    *request.timeout_mut() = Some(Duration::from_secs(10));
    request.send()
}

fn response(url: &Url) -> Result<(), Error> {
    let mut response: Response = request(url)?;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.url(), url);
    assert_eq!(response.headers()["x-method"], "PROPFIND");
    response.headers_mut().remove("x-method");
    assert_eq!(response.json::<Answer>().unwrap().method, "PROPFIND");
    let text = response.text().unwrap().to_owned();
    assert_eq!(response.body(), text.as_bytes());
    assert_eq!(response.clone().into_body(), text.as_bytes());
    assert_eq!(response.clone().into_text().unwrap(), text);
    assert_eq!(response.take_body(), text.as_bytes());
    assert_eq!(response.error_for_status()?.body(), b"");

    for (builder, method) in [
        (get(url), "GET"),
        (post(url), "POST"),
        (put(url), "PUT"),
        (patch(url), "PATCH"),
        (delete(url), "DELETE"),
        (head(url), "HEAD"),
    ] {
        assert_eq!(builder.send()?.headers()["x-method"], method);
    }
    Ok(())
}

/// An error can be recorded, and is the same afterwards.
fn errors() {
    let recorded = durable::transaction("error", || -> Result<u8, Error> {
        get("https://shop.example").header("x", "a\nb").build()?;
        Ok(7)
    });
    let error: Error = recorded.unwrap_err();
    assert!(error.is_builder());
    assert!(!error.is_timeout() && !error.is_request() && !error.is_connect());
    assert!(!error.is_status() && error.status().is_none());
    assert_eq!(error.url().unwrap().as_str(), "https://shop.example/");
    let error = error.with_url(Url::parse("https://other.example").unwrap());
    assert!(error.to_string().contains("https://other.example/"));
    let error = error.without_url();
    assert!(error.url().is_none());
    let _: durable::Error = error.into();
}

fn main() {
    let Settings { url } = durable::task().data();
    builder().unwrap();
    response(&url).unwrap();
    errors();
    println!("ok");
}
