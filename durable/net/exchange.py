"""One request with all that follows from it: connection, redirects, the whole body. Blocks; runs in a thread."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

from urllib3.exceptions import HTTPError as Urllib3Error

from durable.net.coding import decoded
from durable.net.connections import Connection, Connector
from durable.net.errors import ConnectFailed, HttpError, NotPermitted, RequestFailed, ResponseTooLarge, TimedOut
from durable.net.framing import is_framed, read_body
from durable.net.idle import IdleConnections
from durable.net.message import Request, Response
from durable.net.redirects import MAX_REDIRECTS, is_redirect, redirected
from durable.net.turn import Turn
from durable.net.wire import asks_for_coding, wire_headers

#: A connection takes no longer than this, however much time the request has.
CONNECT_SECONDS = 10.0

_FAULTS = (OSError, http.client.HTTPException, Urllib3Error)


class Exchange:
    """Sends requests over connections that it shares with other threads. `max_body` is for a response, in bytes."""

    def __init__(self, connector: Connector, idle: IdleConnections, max_body: int) -> None:
        self._connector = connector
        self._idle = idle
        self._max_body = max_body
        self._decoding = threading.Lock()

    def run(self, request: Request, permitted: Callable[[], bool]) -> Response:
        """The response, or an HttpError. `permitted` is asked right before anything is sent.

        Raises NotPermitted when the answer is no.
        """
        ends = monotonic() + request.timeout
        for _ in range(MAX_REDIRECTS + 1):
            response = self._hop(request, ends, permitted)
            following = redirected(request, response)
            if following is None:
                return self._decoded(request, response)
            request = following
        raise RequestFailed(f"{request.target}: there were more than {MAX_REDIRECTS} redirects")

    def _decoded(self, request: Request, response: Response) -> Response:
        with _translated(request):
            return decoded(response, self._max_body) if asks_for_coding(request) else response

    def _hop(self, request: Request, ends: float, permitted: Callable[[], bool]) -> Response:
        _require(permitted)
        origin = request.target.origin
        connection = self._idle.take(origin) or self._connect(request, ends)
        try:
            _require(permitted)
            with _translated(request):
                response = self._send(connection, request, ends)
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._idle.put(origin, connection)
        return response

    def _connect(self, request: Request, ends: float) -> Connection:
        target = request.target
        left = _left(request, ends)
        try:
            return self._connector.connect(target, min(left, CONNECT_SECONDS))
        except HttpError:
            raise
        except TimeoutError:
            if left <= CONNECT_SECONDS:
                raise _timed_out(request) from None
            raise ConnectFailed(f"no connection to {target} within {CONNECT_SECONDS:g} s") from None
        except _FAULTS as error:
            raise ConnectFailed(f"no connection to {target}: {_reason(error)}") from None

    def _send(self, connection: Connection, request: Request, ends: float) -> Response:
        target, headers = request.target, wire_headers(request)
        path = target.path
        if self._connector.forwards(target):
            path, headers = target.url, [*self._connector.proxy_headers, *headers]
        connection.limit(_left(request, ends))
        is_whole = True
        try:
            connection.send_request(request.method, path, headers, request.body)
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse a body before it has read it all; its answer is there to be read.
            is_whole = False
        with connection.read_head() as incoming:
            turn = Turn(self._decoding, ends)
            response = Response(incoming.head.status, incoming.head.headers, b"")
            try:
                body = read_body(incoming.fp, request.method, response, self._max_body, turn)
            except ResponseTooLarge:
                if not is_redirect(response):
                    raise
                body, is_whole = b"", False
            if not (is_whole and is_framed(request.method, response) and connection.is_read_out(incoming)):
                connection.close()
        return replace(response, body=body)


def _require(permitted: Callable[[], bool]) -> None:
    if not permitted():
        raise NotPermitted


def _left(request: Request, ends: float) -> float:
    left = ends - monotonic()
    if left <= 0:
        raise _timed_out(request)
    return left


def _timed_out(request: Request) -> TimedOut:
    return TimedOut(f"{request.target}: no complete response within {request.timeout:g} s")


@contextmanager
def _translated(request: Request) -> Iterator[None]:
    """Foreign exceptions end here, and all say which server it was."""
    try:
        yield
    except TimedOut:
        raise
    except RequestFailed as error:
        raise type(error)(f"{request.target}: {error}") from None
    except TimeoutError:
        raise _timed_out(request) from None
    except _FAULTS as error:
        raise RequestFailed(f"{request.target}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error.strerror}"
        case http.client.BadStatusLine():
            return "the response does not begin with an HTTP status line"
        case OSError(strerror=str(text)):
            return text
    # Messages of the libraries may quote what the server sent, at length.
    return f"{type(error).__name__}: {str(error)[:200]}"
