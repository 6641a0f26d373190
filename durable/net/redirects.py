"""What follows a redirect (Fetch standard, "HTTP-redirect fetch"): the next request, made of the last one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from durable.net.errors import InvalidUrl, RequestFailed
from durable.net.message import Header, Request, Response

MAX_REDIRECTS = 10

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_OF_THE_BODY = frozenset(
    ("content-encoding", "content-language", "content-length", "content-location", "content-type")
)  # fmt: skip
#: Meant for the server that the guest named, and for no other.
_OF_THE_ORIGIN = frozenset(("authorization", "cookie", "host", "proxy-authorization"))


def is_redirect(response: Response) -> bool:
    """True when the response only says where to ask instead."""
    return response.status in _REDIRECTS and bool(response.values("location"))


def redirected(request: Request, response: Response) -> Request | None:
    """The request to send next, None when the response is the answer. Raises RequestFailed for a useless redirect."""
    if not is_redirect(response):
        return None
    try:
        target = request.target.join(_text(response.values("location")[0]))
    except InvalidUrl as error:
        raise RequestFailed(f"{request.target} redirects to an invalid URL: {error}") from None
    is_elsewhere = target.origin != request.target.origin
    # A server does not get to choose who the guest is; within an origin the guest stays who it was.
    authorization = None if is_elsewhere else request.target.authorization
    following = replace(request, target=replace(target, authorization=authorization))
    if _becomes_get(request.method, response.status):
        following = replace(following, method="GET", body=None, headers=_without(following.headers, _OF_THE_BODY))
    if is_elsewhere:
        following = replace(following, headers=_without(following.headers, _OF_THE_ORIGIN))
    return following


def _becomes_get(method: str, status: int) -> bool:
    return (status in (301, 302) and method == "POST") or (status == 303 and method not in ("GET", "HEAD"))


def _without(headers: Sequence[Header], names: frozenset[str]) -> list[Header]:
    return [(name, value) for name, value in headers if name.lower() not in names]


def _text(location: bytes) -> str:
    try:
        return location.decode()
    except UnicodeDecodeError:
        return location.decode("latin-1")
