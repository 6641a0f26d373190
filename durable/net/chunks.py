"""A body in chunks (RFC 9112, 7.1), read for little time per chunk: a server may send millions of a byte each.

Not left to http.client: a chunk of negative size makes it read until the server stops sending.
"""

from __future__ import annotations

import io
import re
from contextlib import AbstractContextManager, nullcontext

from durable.net.body import INCOMPLETE, read_exactly, too_large
from durable.net.errors import RequestFailed

#: What may stand around the chunks of a body (sizes, extensions, ends of lines), in bytes; an eighth of the largest
#: body, if that is more: chunks of 48 bytes on average are never too many.
MAX_FRAMING = 1_048_576
_MAX_LINE = 8_192
_MAX_TRAILER_LINES = 100
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_END = b"\r\n"

_AT_ANY_TIME = nullcontext()


def read_chunked(stream: io.BufferedReader, limit: int, turn: AbstractContextManager[None] = _AT_ANY_TIME) -> bytes:
    """Everything up to and including the trailer; the body may have `limit` bytes. Raises RequestFailed.

    `turn` is held while chunks are decoded, and not while they are waited for. Two threads that decode would not be
    faster than one, and the event loop would wait for its own turn behind all of them.
    """
    body = bytearray()
    read = 0
    while True:
        buffered = stream.peek(1)
        with turn:
            whole = _take_whole(buffered, body)
        read += len(stream.read(whole))
        taken = _take_next(stream, body, limit)
        read += taken
        if len(body) > limit:
            raise too_large(limit)
        if read - len(body) > max(MAX_FRAMING, limit // 8):
            raise RequestFailed("the response has too many chunks for so few bytes")
        if not taken:
            _skip_trailer(stream)
            return bytes(body)


def _take_whole(buffered: bytes, body: bytearray) -> int:
    """Take the chunks that are there as a whole; the number of bytes that they and their framing have.

    Whatever is unusual about the one after them is left for `_take_next` to find.
    """
    at = 0
    while (found := _SIZE.match(buffered, at)) is not None:
        start = found.end()
        end = start + int(found[1], 16)
        if start == end or start - at > _MAX_LINE or buffered[end : end + 2] != _END:
            break
        body += buffered[start:end]
        at = end + 2
    return at


def _take_next(stream: io.BufferedReader, body: bytearray, limit: int) -> int:
    """Take one chunk, waiting for it; the number of bytes that it and its framing have, 0 for the last one."""
    line = _line(stream)
    found = _SIZE.fullmatch(line)
    if found is None:
        raise RequestFailed("the server sent a chunk without a valid size")
    size = int(found[1], 16)
    if size == 0:
        return 0
    if len(body) + size > limit:
        raise too_large(limit)
    body += read_exactly(stream, size, size)
    if stream.read(2) != _END:
        raise RequestFailed("the server sent a chunk that does not end where it said")
    return len(line) + size + 2


def _skip_trailer(stream: io.BufferedReader) -> None:
    for _ in range(_MAX_TRAILER_LINES):
        if _line(stream) in (b"\r\n", b"\n"):
            return
    raise RequestFailed("the response has too many trailers")


def _line(stream: io.BufferedReader) -> bytes:
    line = stream.readline(_MAX_LINE)
    if not line:
        raise RequestFailed(INCOMPLETE)
    return line
