"""The head of a response, read strictly: where two readers could disagree, the response is an error.

Not left to http.client: it takes in megabytes before anything is counted, and hands them to a parser of mail, whose
time grows with the square of a parameter's length.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from durable.net.body import INCOMPLETE
from durable.net.errors import HttpError, RequestFailed
from durable.net.message import MAX_HEADER_BYTES, Header, check_headers, values_of

#: Responses such as 103 (Early Hints) that a server may send before the one that counts.
MAX_INFORMATIONAL = 20
_MAX_LINE = 65_536
_MAX_LINES = 99
_MAX_BYTES = MAX_HEADER_BYTES + _MAX_LINES * len(": ")
_SWITCHING_PROTOCOLS = 101
_STATUS_LINE = re.compile(rb"HTTP/(0\.9|1\.[0-9]+)[ \t]+([1-9][0-9]{2})(?:[ \t].*)?")
_ONE_REQUEST_EACH = (b"0.9", b"1.0")  # versions in which a connection stays open only where the server says so
_MALFORMED = "the headers of the response are malformed"


@dataclass(frozen=True, slots=True)
class Head:
    """Names of headers are in lower case."""

    version: bytes
    status: int
    headers: list[Header]

    @property
    def keeps_open(self) -> bool:
        """True when the server means to take another request on this connection (RFC 9112, 9.3)."""
        options = {
            option.strip().lower() for value in values_of(self.headers, "connection") for option in value.split(b",")
        }
        return b"close" not in options and (b"keep-alive" in options or self.version not in _ONE_REQUEST_EACH)


def read_head(stream: io.BufferedReader) -> Head:
    """The head of the response that counts; informational ones before it are skipped. Raises RequestFailed."""
    if not stream.peek(1):
        raise RequestFailed("the server closed the connection")
    for _ in range(MAX_INFORMATIONAL + 1):
        head = _read_one(stream)
        if head.status == _SWITCHING_PROTOCOLS:
            raise RequestFailed("the server switched to another protocol, which nobody asked for")
        if head.status >= 200:
            return head
    raise RequestFailed(f"the server sent more than {MAX_INFORMATIONAL} informational responses")


def _read_one(stream: io.BufferedReader) -> Head:
    found = _STATUS_LINE.fullmatch(_line(stream))
    if found is None:
        raise RequestFailed("the response does not begin with an HTTP status line")
    headers = [_header(lines) for lines in _unfolded(_header_lines(stream))]
    try:
        check_headers(headers)
    except HttpError:
        raise RequestFailed(_MALFORMED) from None
    return Head(found[1], int(found[2]), headers)


def _header_lines(stream: io.BufferedReader) -> list[bytes]:
    """The lines between the status line and the empty one."""
    lines: list[bytes] = []
    size = 0
    while line := _line(stream):
        lines.append(line)
        size += len(line)
        if len(lines) > _MAX_LINES:
            raise RequestFailed(f"the response has more than {_MAX_LINES} lines of headers")
        if size > _MAX_BYTES:
            raise RequestFailed(f"the headers of the response are larger than {MAX_HEADER_BYTES} bytes")
    return lines


def _unfolded(lines: list[bytes]) -> list[list[bytes]]:
    """The lines of each header: one that begins with a blank goes on with the one before (RFC 9112, 5.2)."""
    headers: list[list[bytes]] = []
    for line in lines:
        if not line.startswith((b" ", b"\t")):
            headers.append([line])
        elif headers:
            headers[-1].append(line)
        else:
            raise RequestFailed(_MALFORMED)
    return headers


def _header(lines: list[bytes]) -> Header:
    name, colon, value = lines[0].partition(b":")
    if not colon:
        raise RequestFailed(_MALFORMED)
    parts = [part.strip(b" \t") for part in (value, *lines[1:])]
    return name.decode("latin-1").lower(), b" ".join(part for part in parts if part)


def _line(stream: io.BufferedReader) -> bytes:
    """The next line without its end."""
    line = stream.readline(_MAX_LINE + 1)
    if len(line) > _MAX_LINE:
        raise RequestFailed(f"the head of the response has a line of more than {_MAX_LINE} bytes")
    if not line.endswith(b"\n"):
        raise RequestFailed(INCOMPLETE)
    return line[:-1].removesuffix(b"\r")
