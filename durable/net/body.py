"""Reading a response body off a connection, never more than a limit of it."""

from __future__ import annotations

from typing import BinaryIO

from durable.net.errors import RequestFailed, ResponseTooLarge

_PIECE = 65_536
INCOMPLETE = "the server ended the response before it was complete"


def read_exactly(stream: BinaryIO, length: int, limit: int) -> bytes:
    """A body of known length."""
    if length > limit:
        raise too_large(limit)
    body = bytearray()
    while len(body) < length:
        piece = stream.read(min(_PIECE, length - len(body)))
        if not piece:
            raise RequestFailed(INCOMPLETE)
        body += piece
    return bytes(body)


def read_to_end(stream: BinaryIO, limit: int) -> bytes:
    """A body that ends with the connection."""
    body = bytearray()
    while piece := stream.read(_PIECE):
        body += piece
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> ResponseTooLarge:
    return ResponseTooLarge(f"the response body is larger than max_http_body ({limit} bytes)")
