"""What follows a redirect, as ordinary clients do it."""

from __future__ import annotations

import pytest

from durable.net.errors import RequestFailed
from durable.net.message import Request, Response
from durable.net.redirects import redirected
from durable.net.target import Target

HEADERS = [
    ("Authorization", b"Bearer s3cret"), ("Cookie", b"session=s3cret"), ("Host", b"virtual.example"), ("X-Own", b"1"),
    ("Content-Type", b"text/plain"), ("Content-Length", b"4"), ("X-Own", b"2"),
]  # fmt: skip


def follow(method: str, status: int, location: str = "/next", url: str = "https://example.com/") -> Request:
    request = Request(method, Target.parse(url), HEADERS, b"body", 5.0)
    following = redirected(request, Response(status, [("location", location.encode())], b""))
    assert following is not None
    return following


def names(request: Request) -> list[str]:
    return [name for name, _ in request.headers]


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        ("GET", 301, "GET"), ("HEAD", 301, "HEAD"), ("POST", 301, "GET"), ("PUT", 301, "PUT"),
        ("GET", 302, "GET"), ("HEAD", 302, "HEAD"), ("POST", 302, "GET"), ("PATCH", 302, "PATCH"),
        ("GET", 303, "GET"), ("HEAD", 303, "HEAD"), ("POST", 303, "GET"), ("PUT", 303, "GET"), ("DELETE", 303, "GET"),
        ("GET", 307, "GET"), ("POST", 307, "POST"), ("PUT", 307, "PUT"),
        ("GET", 308, "GET"), ("POST", 308, "POST"), ("DELETE", 308, "DELETE"),
    ],
)  # fmt: skip
def test_the_method_and_the_body_of_the_next_request(method: str, status: int, becomes: str) -> None:
    following = follow(method, status)
    assert following.method == becomes
    if becomes == method:
        assert following.body == b"body"
        assert names(following) == [name for name, _ in HEADERS]
    else:
        assert following.body is None
        assert names(following) == ["Authorization", "Cookie", "Host", "X-Own", "X-Own"]


@pytest.mark.parametrize(
    "location", ["https://other.example/", "http://example.com/", "https://example.com:8443/", "//www.example.com/"]
)
def test_what_was_meant_for_one_origin_is_not_sent_to_another(location: str) -> None:
    assert names(follow("GET", 302, location)) == ["X-Own", "Content-Type", "Content-Length", "X-Own"]


@pytest.mark.parametrize("location", ["/next", "https://EXAMPLE.com:443/next", "next", "?q"])
def test_within_an_origin_everything_is_sent_on(location: str) -> None:
    assert names(follow("GET", 307, location)) == [name for name, _ in HEADERS]


def test_the_user_in_the_url_stays_within_the_origin() -> None:
    url = "https://me:s3cret@example.com/"
    assert follow("GET", 302, "/next", url).target.authorization == Target.parse(url).authorization
    assert follow("GET", 302, "https://other.example/", url).target.authorization is None


def test_a_server_does_not_choose_who_the_guest_is() -> None:
    assert follow("GET", 302, "https://you:them@example.com/").target.authorization is None
    assert follow("GET", 302, "https://you:them@other.example/").target.authorization is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [("location", b"/next")]),
        (201, [("location", b"/next")]),
        (300, [("location", b"/next")]),
        (304, [("location", b"/next")]),
        (305, [("location", b"/next")]),
        (302, []),
        (404, [("location", b"/next")]),
    ],
)
def test_everything_else_is_an_answer(status: int, headers: list[tuple[str, bytes]]) -> None:
    request = Request("GET", Target.parse("https://example.com/"))
    assert redirected(request, Response(status, headers, b"")) is None


def test_a_location_may_be_utf8_or_latin1() -> None:
    request = Request("GET", Target.parse("https://example.com/"))
    for location in ("/grüße".encode(), "/grüße".encode("latin-1")):
        following = redirected(request, Response(302, [("location", location)], b""))
        assert following is not None
        assert following.target.path == "/gr%C3%BC%C3%9Fe"


def test_an_invalid_location_is_an_error() -> None:
    with pytest.raises(RequestFailed, match="redirects to an invalid URL: the scheme 'mailto'"):
        follow("GET", 302, "mailto://me@example.com/")
