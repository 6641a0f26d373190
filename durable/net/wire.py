"""The headers that are sent for a request: those of the guest, and those that make it whole."""

from __future__ import annotations

from durable.net.coding import SUPPORTED
from durable.net.message import Header, Request, values_of
from durable.version import __version__

# The connection is the host's, and so is where a message on it ends: a guest that could say something else here could
# slip a second request into a connection that others use.
_OF_THE_CONNECTION = frozenset({
    "connection", "content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
_HAVE_A_BODY = frozenset(("POST", "PUT", "PATCH"))
_USER_AGENT = f"durable/{__version__}".encode()


def wire_headers(request: Request) -> list[Header]:
    """All header lines, in order. What the guest said wins over what the host would say."""
    own = [(name, value) for name, value in request.headers if name.lower() not in _OF_THE_CONNECTION]
    given = {name.lower() for name, _ in own}
    added: list[Header] = [] if "host" in given else [("host", request.target.authority.encode())]
    if request.target.authorization is not None and "authorization" not in given:
        added.append(("authorization", request.target.authorization))
    if asks_for_coding(request):
        added.append(("accept-encoding", ", ".join(SUPPORTED).encode()))
    for name, value in (("accept", b"*/*"), ("user-agent", _USER_AGENT)):
        if name not in given:
            added.append((name, value))
    if request.body is not None or request.method in _HAVE_A_BODY:
        added.append(("content-length", str(len(request.body or b"")).encode()))
    return added + own


def asks_for_coding(request: Request) -> bool:
    """True when the host offers codings of its own, and so undoes them; a part of a coded body cannot be decoded."""
    return not values_of(request.headers, "accept-encoding") and not values_of(request.headers, "range")
