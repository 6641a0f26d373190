"""A body is read up to a limit and never past it, and half a body is an error."""

from __future__ import annotations

import io

import pytest

from durable.net.body import read_chunked, read_exactly, read_to_end
from durable.net.errors import RequestFailed, ResponseTooLarge


class Counting(io.BytesIO):
    """Counts what was asked for at once."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0, "an unbounded read"
        self.largest = max(self.largest, size)
        return super().read(size)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 200_000])
def test_a_body_of_known_length(size: int) -> None:
    stream = Counting(b"x" * size + b"more")
    assert read_exactly(stream, size, size) == b"x" * size
    assert stream.read(4) == b"more"


def test_a_body_that_ends_too_early_is_an_error() -> None:
    with pytest.raises(RequestFailed, match="before it was complete"):
        read_exactly(io.BytesIO(b"x" * 9), 10, 10)


def test_a_body_that_is_too_long_is_not_even_read() -> None:
    stream = Counting(b"x" * 100)
    with pytest.raises(ResponseTooLarge, match=r"larger than max_http_body \(10 bytes\)"):
        read_exactly(stream, 11, 10)
    assert stream.tell() == 0


@pytest.mark.parametrize("size", [0, 1, 65_536, 100_000])
def test_a_body_to_the_end_of_the_connection(size: int) -> None:
    assert read_to_end(Counting(b"x" * size), size) == b"x" * size
    with pytest.raises(ResponseTooLarge):
        read_to_end(Counting(b"x" * (size + 1)), size)


def test_a_body_in_chunks() -> None:
    stream = io.BytesIO(b"5\r\nhello\r\n1;name=value\r\n \r\n0000a  \r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nmore")
    assert read_chunked(stream, 16) == b"hello 0123456789"
    assert stream.read() == b"more"


def test_chunks_are_limited_together() -> None:
    with pytest.raises(ResponseTooLarge, match=r"max_http_body \(15 bytes\)"):
        read_chunked(io.BytesIO(b"5\r\nhello\r\nb\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n"), 15)


def test_a_huge_chunk_is_not_even_read() -> None:
    stream = Counting(b"fffffffffffffff\r\n" + b"x" * 100)
    with pytest.raises(ResponseTooLarge):
        read_chunked(stream, 1000)
    assert stream.largest == 0


REST = b"\r\nhello\r\n0\r\n\r\n"  # after a size that should be 5


@pytest.mark.parametrize(
    "data",
    [
        b"", b"5", b"5\r\n", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nTrailer: x\r\n",
        b"-1" + REST, b"+5" + REST, b"0x5" + REST, b"5_0" + REST, b" 5" + REST, REST, b"g" + REST, b"4" + REST,
        b"6" + REST, b"5 5" + REST, b"5\rhello\r\n0\r\n\r\n", b"\xff\r\n", b"5" * 20 + b"\r\n",
        b"5;" + b"x" * 10_000 + REST, b"0\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    ],
)  # fmt: skip
def test_chunks_that_are_damaged_are_an_error(data: bytes) -> None:
    with pytest.raises(RequestFailed):
        read_chunked(Counting(data), 1000)


@pytest.mark.parametrize(
    ("begins", "unit", "most", "ends"),
    [(b"5;", b"x", 8188, REST), (b"5\r\nhello\r\n0\r\n", b"a: b\r\n", 99, b"\r\n")],
    ids=["8192 bytes for the line of a chunk", "99 trailers"],
)
def test_what_stands_around_chunks_has_limits(begins: bytes, unit: bytes, most: int, ends: bytes) -> None:
    assert read_chunked(io.BytesIO(begins + unit * most + ends), 5) == b"hello"
    with pytest.raises(RequestFailed):
        read_chunked(io.BytesIO(begins + unit * (most + 1) + ends), 5)
