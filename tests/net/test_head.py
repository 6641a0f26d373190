"""A head is taken as it was meant, or it is an error; what it costs is bounded by its size."""

from __future__ import annotations

import pytest

from durable.net.errors import RequestFailed
from durable.net.head import Head, read_head
from tests.net.arriving import Arriving, buffered, buffering

OK = b"HTTP/1.1 200 OK\r\n"


def read(head: bytes, piece: int = 1_000_000) -> Head:
    return read_head(buffered(head, piece))


@pytest.mark.parametrize("piece", [1, 1_000_000])
def test_what_follows_a_head_is_left(piece: int) -> None:
    stream = buffered(OK + b"X: 1\r\n\r\nbody", piece)
    assert read_head(stream) == Head(b"1.1", 200, [("x", b"1")])
    assert stream.read() == b"body"


@pytest.mark.parametrize(
    ("line", "version", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"1.1", 200),
        (b"HTTP/1.1 200\r\n", b"1.1", 200),
        (b"HTTP/1.1 200 \r\n", b"1.1", 200),
        (b"HTTP/1.0  404\tNot  Found\n", b"1.0", 404),
        (b"HTTP/1.1 999 \xff\xfe\r\n", b"1.1", 999),
        (b"HTTP/0.9 200 OK\r\n", b"0.9", 200),
    ],
)
def test_a_status_line(line: bytes, version: bytes, status: int) -> None:
    assert read(line + b"\r\n") == Head(version, status, [])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"HTTP/1.1200 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 +20 OK",
        b"HTTP/1.1 2_0",
        b"HTTP/1.1 200OK",
        b"HTTP/2 200",
    ],
)
def test_what_is_no_status_line(line: bytes) -> None:
    with pytest.raises(RequestFailed, match="does not begin with an HTTP status line"):
        read(line + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (b"X: a\r\n", [b"a"]),
        (b"x:a\n", [b"a"]),
        (b"X:\r\n", [b""]),
        (b"X: \t a b  c \t\r\n", [b"a b  c"]),
        (b"X: a:b\r\nX: c\r\n", [b"a:b", b"c"]),
        (b"X: a \t\r\n \t b\r\n", [b"a b"]),
        (b"X:\r\n a\r\n", [b"a"]),
        (b"X: a\r\n \r\n\t\r\n b\r\n", [b"a b"]),
        (b"X: a\r\n \r\n", [b"a"]),
        (b"X: a\r\n b: c\r\n", [b"a b: c"]),
    ],
)
def test_values_are_what_stands_between_blanks_and_lines_that_are_folded_are_joined(
    lines: bytes, values: list[bytes]
) -> None:
    assert read(OK + lines + b"\r\n").headers == [("x", value) for value in values]


@pytest.mark.parametrize(
    "lines",
    [
        b"X\r\n",
        b" X: a\r\n",
        b": a\r\n",
        b"X : a\r\n",
        b"X: a\rb\r\n",
        b"X: a\r\r\n",
        b"X: a\r\n b\0\r\n",
        b"From me\r\n",
    ],
)
def test_headers_that_are_malformed_are_an_error(lines: bytes) -> None:
    with pytest.raises(RequestFailed, match="the headers of the response are malformed"):
        read(OK + lines + b"\r\n")


@pytest.mark.parametrize("head", [OK, OK + b"X: 1\r\n", OK + b"X: 1", OK[:5], b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_a_head_that_breaks_off_is_an_error(head: bytes) -> None:
    with pytest.raises(RequestFailed, match="ended the response before it was complete"):
        read(head)
    with pytest.raises(RequestFailed, match="the server closed the connection"):
        read(b"")


@pytest.mark.parametrize(
    ("head", "keeps_open"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nConnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
        (b"HTTP/0.9 200 OK\r\n", False),
    ],
)
def test_a_server_says_whether_it_takes_another_request(head: bytes, keeps_open: bool) -> None:
    assert read(head + b"\r\n").keeps_open is keeps_open


def test_twenty_informational_responses_are_skipped_and_not_one_more() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    assert read(early * 20 + OK + b"X: 1\r\n\r\n") == Head(b"1.1", 200, [("x", b"1")])
    with pytest.raises(RequestFailed, match="more than 20 informational responses"):
        read(early * 21 + OK + b"\r\n")


@pytest.mark.parametrize("line", [b"X: " + b"x" * 60_000 + b"\r\n", b" " * 60_000 + b"\r\n"])
def test_a_head_that_is_too_large_is_not_taken_in(line: bytes) -> None:
    arriving = Arriving(OK + b"X: 1\r\n" + line * 98 + b"\r\n", piece=8192)
    with pytest.raises(RequestFailed, match="the headers of the response are larger than 262144 bytes"):
        read_head(buffering(arriving))
    assert arriving.given < 400_000
