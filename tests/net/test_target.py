"""A URL is taken apart once, as browsers do it, and what is sent is what was checked."""

from __future__ import annotations

import pytest

from durable.net.errors import InvalidUrl
from durable.net.target import Target


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://example.com", ("http", "example.com", 80), "/"),
        ("HTTPS://Example.COM/", ("https", "example.com", 443), "/"),
        ("  http://example.com/ ", ("http", "example.com", 80), "/"),
        ("http://example.com:8080/a?b=c&d#e", ("http", "example.com", 8080), "/a?b=c&d"),
        ("http://example.com?b", ("http", "example.com", 80), "/?b"),
        ("http://example.com?", ("http", "example.com", 80), "/?"),
        ("http://example.com#f", ("http", "example.com", 80), "/"),
        ("http://example.com:/", ("http", "example.com", 80), "/"),
        ("https://example.com:80/", ("https", "example.com", 80), "/"),
        ("http://example.com:0000000080/", ("http", "example.com", 80), "/"),
        ("http://[::1]:8080/", ("http", "::1", 8080), "/"),
        ("http://me:secret@example.com/", ("http", "example.com", 80), "/"),
        ("http://a@b:c@example.com/", ("http", "example.com", 80), "/"),
        ("http://example.com/@other.example/", ("http", "example.com", 80), "/@other.example/"),
        ("http://example.com#@other.example/", ("http", "example.com", 80), "/"),
        ("http://example.com?@other.example/", ("http", "example.com", 80), "/?@other.example/"),
    ],
)
def test_an_origin_and_a_path(url: str, origin: tuple[str, str, int], path: str) -> None:
    target = Target.parse(url)
    assert (target.origin, target.path) == (origin, path)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("/a/./b/../c", "/a/c"),
        ("/../../a", "/a"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/%2e%2E/a/%2e", "/a/"),
        ("/a//b/", "/a//b/"),
        ("/...", "/..."),
        ("/a b", "/a%20b"),
        ("/grüße", "/gr%C3%BC%C3%9Fe"),
        ("/%61%2f%zz%", "/%61%2f%zz%"),
        ("/[x]|{y}", "/[x]|%7By%7D"),
        ("/a\\..\\b", "/a%5C..%5Cb"),
        ("/?q=a b&c='d'&e=[f]", "/?q=a%20b&c=%27d%27&e=[f]"),
        ("/?q=ü", "/?q=%C3%BC"),
        ("/?a/../b", "/?a/../b"),
        ('/?"<>', "/?%22%3C%3E"),
    ],
)
def test_a_path_is_sent_as_browsers_send_it(written: str, sent: str) -> None:
    assert Target.parse("http://example.com" + written).path == sent


@pytest.mark.parametrize(
    "url",
    [
        "", "/", "//example.com/", "example.com", "example.com:80", "http:", "http:/", "http://", "http:///path",
        "http:example.com", "http:/example.com", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
        "ws://example.com/", "javascript:alert(1)", "://example.com", "1http://example.com", "http//example.com",
        "http://:80/", "http://user@/", "http://@/", "http://example.com:port/", "http://example.com:-1/",
        "http://example.com:0/", "http://example.com:65536/", "http://example.com:99999999999/", "http://h:8 0/",
        "http://a:b:c/", "http://exam ple.com/", "http://example.com\\@other.example/", "http://example.com\t/",
        "http://example.com/\r\nHost: other.example", "http://example.com/\x00", "http://example.com\n", "http://[::1",
        "http://::1/", "http://[::1]x/", "http://[::1]]/", "http://1.2.3.4.5/", "http://example.com/" + "a" * 70_000,
    ],
)  # fmt: skip
def test_what_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        Target.parse(url)


def test_a_url_may_have_65536_characters() -> None:
    url = "http://example.com/".ljust(65_536, "a")
    assert Target.parse(url).url == url
    with pytest.raises(InvalidUrl, match="longer than 65536 characters"):
        Target.parse(url + "a")


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://example.com/", "example.com"),
        ("http://example.com:80/", "example.com"),
        ("https://example.com:80/", "example.com:80"),
        ("http://example.com.:8080/", "example.com:8080"),
        ("http://[::1]/", "[::1]"),
        ("https://[::1]:8443/", "[::1]:8443"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("http://me:secret@example.com/", "example.com"),
    ],
)
def test_the_host_header_names_the_origin(url: str, authority: str) -> None:
    assert Target.parse(url).authority == authority


def test_user_and_password_become_an_authorization_and_are_shown_nowhere() -> None:
    target = Target.parse("https://me%40corp:s%C3%A9cret@example.com/path?query")
    assert target.authorization == b"Basic bWVAY29ycDpzw6ljcmV0"
    assert target.url == "https://example.com/path?query"
    assert str(target) == "https://example.com"
    assert "me" not in repr(target).replace("example", "").replace("scheme", "")
    assert Target.parse("http://me@example.com/").authorization == b"Basic bWU6"
    assert Target.parse("http://@example.com/").authorization is None


def test_an_error_shows_nothing_of_the_url() -> None:
    with pytest.raises(InvalidUrl) as refused:
        Target.parse("http://me:s3cr3t@exam ple.com/?token=s3cr3t")
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/other", "http://example.com:8080/other"),
        ("other", "http://example.com:8080/a/other"),
        ("../other", "http://example.com:8080/other"),
        ("?x=1", "http://example.com:8080/a/b?x=1"),
        ("", "http://example.com:8080/a/b?c"),
        ("#f", "http://example.com:8080/a/b?c"),
        ("//other.example/x", "http://other.example/x"),
        ("https://other.example", "https://other.example/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("/a b", "http://example.com:8080/a%20b"),
    ],
)
def test_a_location_is_read_relative_to_the_url_it_came_from(location: str, url: str) -> None:
    assert Target.parse("http://example.com:8080/a/b?c#d").join(location).url == url


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://example.com/", "http://[::1", "http://a b/", "//a\\@b/", "\x00", "/a\tb"]
)
def test_a_location_that_leads_nowhere_is_refused(location: str) -> None:
    with pytest.raises(InvalidUrl):
        Target.parse("http://example.com/").join(location)
