"""A request as a guest makes it, the response that it gets, and what may stand in either."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from durable.net.errors import InvalidHeaderName, InvalidHeaderValue, InvalidMethod
from durable.net.target import Target

Header = tuple[str, bytes]

#: RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: What would end a header line, or hide in it. Bytes above 127 pass, as in every client.
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_METHOD = 100
#: Names and values together; no server takes a tenth of it.
MAX_HEADER_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Request:
    """`timeout` is the time for everything in seconds: connection, redirects, the whole body."""

    method: str
    target: Target
    headers: Sequence[Header] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Response:
    """The headers are in the order of the server, their names in lower case."""

    status: int
    headers: list[Header]
    body: bytes = field(repr=False)

    def values(self, name: str) -> list[bytes]:
        """All values of this header; `name` is in lower case."""
        return values_of(self.headers, name)


def values_of(headers: Sequence[Header], name: str) -> list[bytes]:
    """All values of the header called `name` (lower case), in order."""
    return [value for one, value in headers if one.lower() == name]


def check_method(method: str) -> None:
    """Raise InvalidMethod unless the method is a token, and not CONNECT: that would turn a shared connection into a
    tunnel.
    """
    if len(method) > _MAX_METHOD or not _TOKEN.fullmatch(method):
        raise InvalidMethod("the method is not a valid HTTP method")
    if method.upper() == "CONNECT":
        raise InvalidMethod("the method CONNECT cannot be used")


def check_headers(headers: Sequence[Header]) -> None:
    """Raise InvalidHeaderName or InvalidHeaderValue for a header that would not arrive as it is."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise InvalidHeaderName(f"{name[:50]!r} is not a valid header name")
        if _NOT_IN_A_VALUE.search(value):
            raise InvalidHeaderValue(f"the value of header {name[:50]!r} has characters that no header may have")
    if sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise InvalidHeaderValue(f"the headers are larger than {MAX_HEADER_BYTES} bytes")
    if len(values_of(headers, "host")) > 1:
        raise InvalidHeaderValue("there is more than one host header")


def check_length(headers: Sequence[Header], body: bytes | None) -> None:
    """Raise InvalidHeaderValue when a content-length contradicts the body: the rest would be read as a request."""
    for value in values_of(headers, "content-length"):
        if value.strip() != str(len(body or b"")).encode():
            raise InvalidHeaderValue("content-length is not the length of the body")
