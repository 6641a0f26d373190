"""A body is read up to a limit and never past it, and half a body is an error."""

from __future__ import annotations

import io

import pytest

from durable.net.body import read_exactly, read_to_end
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
