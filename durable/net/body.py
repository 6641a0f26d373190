"""Reading a response body off a connection, never more than a limit of it.

Not left to http.client: a chunk of negative size makes it read until the server stops sending.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from durable.net.errors import RequestFailed, ResponseTooLarge

_PIECE = 65_536
_MAX_LINE = 8_192
_MAX_TRAILER_LINES = 100
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n", re.DOTALL)
INCOMPLETE = "the server ended the response before it was complete"


def read_exactly(stream: BinaryIO, length: int, limit: int) -> bytes:
    """A body of known length."""
    if length > limit:
        raise _too_large(limit)
    return bytes(_read(stream, length))


def read_to_end(stream: BinaryIO, limit: int) -> bytes:
    """A body that ends with the connection."""
    body = bytearray()
    while piece := stream.read(_PIECE):
        body += piece
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def read_chunked(stream: BinaryIO, limit: int) -> bytes:
    """A body in chunks (RFC 9112, 7.1), up to and including its trailer."""
    body = bytearray()
    while size := _chunk_size(stream):
        if len(body) + size > limit:
            raise _too_large(limit)
        body += _read(stream, size)
        if stream.read(2) != b"\r\n":
            raise RequestFailed("the server sent a chunk that does not end where it said")
    for _ in range(_MAX_TRAILER_LINES):
        if _line(stream) in (b"\r\n", b"\n"):
            return bytes(body)
    raise RequestFailed("the response has too many trailers")


def _read(stream: BinaryIO, length: int) -> bytearray:
    body = bytearray()
    while len(body) < length:
        piece = stream.read(min(_PIECE, length - len(body)))
        if not piece:
            raise RequestFailed(INCOMPLETE)
        body += piece
    return body


def _chunk_size(stream: BinaryIO) -> int:
    found = _CHUNK_SIZE.fullmatch(_line(stream))
    if found is None:
        raise RequestFailed("the server sent a chunk without a valid size")
    return int(found[1], 16)


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(_MAX_LINE)
    if not line:
        raise RequestFailed(INCOMPLETE)
    return line


def _too_large(limit: int) -> ResponseTooLarge:
    return ResponseTooLarge(f"the response body is larger than max_http_body ({limit} bytes)")
