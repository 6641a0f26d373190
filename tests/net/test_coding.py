"""Content codings are undone completely or not at all, and never beyond a limit."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib
from collections.abc import Callable
from random import Random

import pytest

from durable.net import coding
from durable.net.coding import SUPPORTED, decoded
from durable.net.errors import RequestFailed, ResponseTooLarge
from durable.net.message import Response

TEXT = b"Franz jagt im komplett verwahrlosten Taxi quer durch Bayern. " * 100


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def brotlied(data: bytes) -> bytes:
    return bytes(coding.brotli.compress(data, quality=2))


CODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotlied),
]


def coded(body: bytes, *values: str) -> Response:
    headers = [("content-encoding", value.encode()) for value in values]
    return Response(200, [("x", b"1"), *headers, ("content-length", b"%d" % len(body)), ("y", b"2")], body)


def need(name: str) -> None:
    if name == "br" and "br" not in SUPPORTED:
        pytest.skip("brotli is not installed")


each_coding = pytest.mark.parametrize(
    ("name", "encode"), CODERS, ids=lambda value: getattr(value, "__name__", str(value))
)


@each_coding
@pytest.mark.parametrize("text", [b"", b"x", TEXT, Random(1).randbytes(100_000)], ids=["empty", "x", "text", "random"])
def test_a_body_is_decoded_and_the_headers_about_it_are_gone(
    name: str, encode: Callable[[bytes], bytes], text: bytes
) -> None:
    need(name)
    response = decoded(coded(encode(text), name), 200_000)
    assert response.body == text
    assert response.headers == [("x", b"1"), ("y", b"2")]


@each_coding
def test_the_limit_holds_at_its_value_and_one_past_it(name: str, encode: Callable[[bytes], bytes]) -> None:
    need(name)
    assert decoded(coded(encode(TEXT), name), len(TEXT)).body == TEXT
    with pytest.raises(ResponseTooLarge, match=f"decoded, is larger than max_http_body .{len(TEXT) - 1} bytes"):
        decoded(coded(encode(TEXT), name), len(TEXT) - 1)


@each_coding
def test_a_body_that_ends_too_early_is_an_error(name: str, encode: Callable[[bytes], bytes]) -> None:
    need(name)
    whole = encode(TEXT)
    for cut in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(RequestFailed, match="is not valid"):
            decoded(coded(whole[:cut], name), 100_000)


@each_coding
def test_a_body_that_is_damaged_is_an_error(name: str, encode: Callable[[bytes], bytes]) -> None:
    need(name)
    with pytest.raises(RequestFailed, match="is not valid"):
        decoded(coded(b"\xff" * 100, name), 100_000)


@each_coding
def test_a_bomb_goes_off_in_little_memory_and_time(name: str, encode: Callable[[bytes], bytes]) -> None:
    need(name)
    bomb = coded(encode(bytes(30_000_000)), name)
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(ResponseTooLarge):
            decoded(bomb, 1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5


def test_a_bomb_within_a_bomb_is_stopped_at_the_first() -> None:
    twice = gzip.compress(gzip.compress(bytes(30_000_000)))
    with pytest.raises(ResponseTooLarge):
        decoded(coded(twice, "gzip, gzip"), 100_000)


def test_codings_are_undone_in_reverse_order() -> None:
    body = gzip.compress(zlib.compress(TEXT))
    assert decoded(coded(body, "deflate, gzip"), 10_000).body == TEXT
    assert decoded(coded(body, "deflate", "gzip"), 10_000).body == TEXT
    assert decoded(coded(body, "identity, deflate,, gzip"), 10_000).body == TEXT


def test_more_than_five_codings_are_an_error() -> None:
    body = TEXT
    for _ in range(5):
        body = gzip.compress(body)
    assert decoded(coded(body, "gzip, " * 5), 10_000).body == TEXT
    with pytest.raises(RequestFailed, match="more than 5"):
        decoded(coded(b"x", "gzip, " * 6), 100)


@pytest.mark.parametrize("name", ["", "identity", "zstd", "compress", "gzip, zstd", "nonsense"])
def test_a_body_in_an_unknown_coding_is_left_alone(name: str) -> None:
    response = coded(b"whatever", name)
    assert decoded(response, 100) is response


def test_no_body_needs_no_decoding() -> None:
    response = coded(b"", "gzip")
    assert decoded(response, 100) is response


def test_all_members_of_a_gzip_body_are_read_and_padding_is_not() -> None:
    members = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert decoded(coded(members, "gzip"), 100).body == b"one two"
    assert decoded(coded(members + bytes(512), "gzip"), 100).body == b"one two"
    with pytest.raises(RequestFailed):
        decoded(coded(members + b"\x1f\x8bgarbage", "gzip"), 100)


def test_many_members_are_read_across_the_pieces_they_are_read_in() -> None:
    random = Random(7)
    parts = [random.randbytes(random.randrange(200)) for _ in range(2000)]
    body = b"".join(gzip.compress(part) for part in parts)
    assert decoded(coded(body, "gzip"), 1_000_000).body == b"".join(parts)


def test_a_hundred_thousand_empty_members_take_no_time() -> None:
    body = gzip.compress(b"") * 200_000
    started = time.monotonic()
    assert decoded(coded(body, "gzip"), 1000).body == b""
    assert time.monotonic() - started < 10
