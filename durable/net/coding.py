"""Content codings (gzip, deflate, br), undone without ever holding more than a limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from durable.net.errors import RequestFailed, ResponseTooLarge
from durable.net.message import Response

try:
    brotli: Any = import_module("brotli")
except ImportError:  # then it is not offered, and no server sends it
    brotli = None

_MAX_CODINGS = 5
_PIECE = 16_384
_GZIP_BEGINS_WITH = 0x1F
_GZIP, _ZLIB, _RAW_DEFLATE = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


def decoded(response: Response, limit: int) -> Response:
    """The response with its content codings undone, and without the headers that were about them.

    A response in a coding that is not known stays as it is. Raises ResponseTooLarge when the body has more than `limit`
    bytes at any stage, RequestFailed when it is damaged or incomplete.
    """
    codings = [
        coding.strip().lower()
        for value in response.values("content-encoding")
        for coding in value.decode("latin-1").split(",")
        if coding.strip().lower() not in ("", "identity")
    ]
    if not codings or not response.body or not all(coding in SUPPORTED or coding in _ALIASES for coding in codings):
        return response
    if len(codings) > _MAX_CODINGS:
        raise RequestFailed(f"the response has more than {_MAX_CODINGS} content codings")
    body = response.body
    for coding in reversed(codings):
        body = _undo(coding, body, limit)
    headers = [one for one in response.headers if one[0] not in ("content-encoding", "content-length")]
    return Response(response.status, headers, body)


def _undo(coding: str, body: bytes, limit: int) -> bytes:
    try:
        plain = SUPPORTED[_ALIASES.get(coding, coding)](body, limit + 1)
    except (zlib.error, EOFError, _BROTLI_ERROR):
        raise RequestFailed(f"the response body is not valid {coding}") from None
    if len(plain) > limit:
        raise ResponseTooLarge(f"the response body, decoded, is larger than max_http_body ({limit} bytes)")
    return plain


def _gunzip(data: bytes, most: int) -> bytes:
    """All members of a gzip file, one after the other, up to `most` bytes."""
    plain = bytearray()
    stream = zlib.decompressobj(_GZIP)
    # In pieces, because zlib copies what follows a member, and a body may have a hundred thousand of them.
    for start in range(0, len(data), _PIECE):
        piece = data[start : start + _PIECE]
        while piece and len(plain) < most:
            if stream.eof:
                if piece[0] != _GZIP_BEGINS_WITH:  # some servers pad the end
                    return bytes(plain)
                stream = zlib.decompressobj(_GZIP)
            plain += stream.decompress(piece, most - len(plain))
            piece = stream.unused_data or stream.unconsumed_tail
    if not stream.eof and len(plain) < most:
        raise EOFError
    return bytes(plain)


def _inflate(data: bytes, most: int) -> bytes:
    """The coding deflate is the zlib format, but some servers send bare deflate data (RFC 9110, 8.4.1.2)."""
    is_zlib = len(data) > 1 and data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return _inflated(zlib.decompressobj(_ZLIB if is_zlib else _RAW_DEFLATE), data, most)


def _inflated(stream: Any, data: bytes, most: int) -> bytes:
    plain = bytes(stream.decompress(data, most))
    if not stream.eof and len(plain) < most:
        raise EOFError
    return plain


def _unbrotli(data: bytes, most: int) -> bytes:
    stream = brotli.Decompressor()
    plain = stream.process(data, output_buffer_limit=most)
    while not stream.is_finished() and len(plain) < most:
        more = stream.process(b"", output_buffer_limit=most - len(plain))
        if not more:
            raise EOFError
        plain += more
    return bytes(plain)


def _brotli_has_limits() -> bool:
    """Before 1.2 a body could not be decoded in parts of a size that we choose."""
    try:
        brotli.Decompressor().process(b"", output_buffer_limit=1)
    except (TypeError, AttributeError):
        return False
    return True


#: By name, in the order in which they are offered.
SUPPORTED: dict[str, Callable[[bytes, int], bytes]] = {"gzip": _gunzip, "deflate": _inflate}
if brotli is not None and _brotli_has_limits():
    SUPPORTED["br"] = _unbrotli
_ALIASES = {"x-gzip": "gzip"}
_BROTLI_ERROR: type[Exception] = EOFError if brotli is None else brotli.error
