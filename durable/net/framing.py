"""Where the body of a response ends (RFC 9112, 6.3)."""

from __future__ import annotations

import io
import re

from durable.net.body import read_exactly, read_to_end
from durable.net.chunks import read_chunked
from durable.net.errors import RequestFailed
from durable.net.message import Response
from durable.net.turn import Turn

_NO_BODY = (204, 304)
_LENGTH = re.compile(rb"[0-9]{1,18}")


def is_framed(method: str, response: Response) -> bool:
    """False when only the end of the connection tells where the body ends."""
    lengths = response.values("transfer-encoding") or response.values("content-length")
    return _has_no_body(method, response) or bool(lengths)


def read_body(stream: io.BufferedReader, method: str, response: Response, limit: int, turn: Turn) -> bytes:
    """The body that follows this head, at most `limit` bytes. Raises RequestFailed, ResponseTooLarge, TimeoutError."""
    codings = response.values("transfer-encoding")
    length = _length(response)
    if _has_no_body(method, response):
        return b""
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise RequestFailed("the response has a transfer coding that is not known")
        return read_chunked(stream, limit, turn)
    return read_to_end(stream, limit) if length is None else read_exactly(stream, length, limit)


def _has_no_body(method: str, response: Response) -> bool:
    return method == "HEAD" or response.status in _NO_BODY


def _length(response: Response) -> int | None:
    """RFC 9110, 8.6: the same number more than once is harmless."""
    lengths = {length.strip() for value in response.values("content-length") for length in value.split(b",")}
    if not lengths:
        return None
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise RequestFailed("the response has no valid content-length")
    return int(lengths.pop())
