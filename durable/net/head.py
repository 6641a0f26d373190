"""What the head of a response says, read strictly: where two readers could disagree, the response is an error."""

from __future__ import annotations

import http.client
import re
from email.errors import MultipartInvariantViolationDefect, StartBoundaryNotFoundDefect

from durable.net.body import read_exactly, read_to_end
from durable.net.chunks import read_chunked
from durable.net.errors import HttpError, RequestFailed
from durable.net.message import Header, Response, check_headers

_NO_BODY = (204, 304)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_FOLD = re.compile(r"\s*\r?\n[ \t]+")
# The parser is made for mail and misses the parts of a multipart body, which is not there yet.
_HARMLESS = (StartBoundaryNotFoundDefect, MultipartInvariantViolationDefect)


def response_headers(head: http.client.HTTPResponse) -> list[Header]:
    """All headers in the order of the server, with names in lower case. Raises RequestFailed for malformed ones."""
    message = head.headers
    unparsed = not message.is_multipart() and message.get_payload()
    if unparsed or any(not isinstance(defect, _HARMLESS) for defect in message.defects):
        raise RequestFailed("the headers of the response are malformed")
    # http.client decodes headers as latin-1, so this brings back the bytes that were sent.
    headers = [
        (name.lower(), _FOLD.sub(" ", value).strip(" \t").encode("latin-1")) for name, value in message.raw_items()
    ]
    try:
        check_headers(headers)
    except HttpError:
        raise RequestFailed("the headers of the response are malformed") from None
    return headers


def read_body(head: http.client.HTTPResponse, method: str, response: Response, limit: int) -> bytes:
    """The body that follows this head, at most `limit` bytes. Raises RequestFailed, ResponseTooLarge."""
    codings = response.values("transfer-encoding")
    length = _length(response)
    if method == "HEAD" or head.status in _NO_BODY:
        return b""
    if codings:
        if [coding.lower() for coding in codings] != [b"chunked"]:
            raise RequestFailed("the response has a transfer coding that is not known")
        return read_chunked(head.fp, limit)
    return read_to_end(head.fp, limit) if length is None else read_exactly(head.fp, length, limit)


def _length(response: Response) -> int | None:
    """RFC 9110, 8.6: the same number more than once is harmless."""
    lengths = {length.strip() for value in response.values("content-length") for length in value.split(b",")}
    if not lengths:
        return None
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise RequestFailed("the response has no valid content-length")
    return int(lengths.pop())
