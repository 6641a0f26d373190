"""What a worker sends the requests of its guests with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial

from durable.config import Config
from durable.net.connections import Connector
from durable.net.dialer import Dialer
from durable.net.errors import RequestFailed, RequestTooLarge
from durable.net.exchange import Exchange
from durable.net.idle import IdleConnections
from durable.net.lookup import Lookup, Resolve, system_resolve
from durable.net.message import Request, Response
from durable.net.policy import EgressPolicy
from durable.net.sockets import OpenSocket, new_tls_context, open_socket
from durable.net.target import Target
from durable.net.threads import Threads

MAX_IDLE_CONNECTIONS = 64


class Client:
    """Sends requests in threads, at most `max_requests` at once; the others wait their turn, off the network.

    Make it in the process that uses it. `proxy` is the URL of an HTTP proxy; the environment is never asked for one.
    `max_body` limits a request's body and a response's, in bytes. `resolve`, `open_socket` and `new_context` are what
    tests replace.
    """

    def __init__(
        self, policy: EgressPolicy, *, max_body: int, max_requests: int, proxy: str | None = None,
        resolve: Resolve = system_resolve, open_socket: OpenSocket = open_socket,
        new_context: Callable[[], ssl.SSLContext] = new_tls_context,
    ) -> None:  # fmt: skip
        self._max_body = max_body
        self._threads = Threads(max_requests, "durable-http")
        self._lookup = Lookup(resolve)
        self._idle = IdleConnections(MAX_IDLE_CONNECTIONS)
        dialer = Dialer(policy, self._lookup, open_socket)
        connector = Connector(dialer, new_context, None if proxy is None else Target.parse(proxy))
        self._exchange = Exchange(connector, self._idle, max_body)

    async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
        """The response to the last of the redirects, with its whole body.

        The request's timeout counts from when a thread takes it up. `permitted` is asked in that thread, right before
        anything is sent. Raises HttpError, NotPermitted. When it is cancelled, a request that has not begun is not
        sent; one that has goes on within its timeout, and what comes of it is dropped.
        """
        if request.body is not None and len(request.body) > self._max_body:
            raise RequestTooLarge(
                f"the request body has {len(request.body)} bytes; max_http_body allows {self._max_body}"
            )
        try:
            future = self._threads.submit(partial(self._exchange.run, request, permitted))
        except RuntimeError as error:
            raise RequestFailed(f"the host cannot send requests: {error}") from None
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Send nothing more. Returns at once; requests under way end in the background."""
        self._threads.close()
        self._lookup.close()
        self._idle.close()


def client_of(config: Config) -> Client:
    """The client that a worker with this configuration uses."""
    policy = EgressPolicy(config.egress_allow, config.egress_deny, private=config.egress_private)
    return Client(
        policy,
        max_body=config.max_http_body,
        max_requests=config.max_http_requests,
        proxy=config.egress_proxy,
    )
