"""Clients for tests: with names that a test makes up, and connections that go nowhere unless it says so."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from durable.egress import Address, naming_rules, rules
from durable.net.client import Client
from durable.net.lookup import Resolve
from durable.net.message import Request, Response
from durable.net.policy import EgressPolicy
from durable.net.sockets import open_socket
from durable.net.target import Target

Names = Mapping[str, Sequence[str]]


def always() -> bool:
    return True


class NoNetwork:
    """Instead of connections: notes where one would have gone, and refuses it."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, int]] = []

    def __call__(self, address: Address, port: int, timeout: float) -> socket.socket:
        self.attempts.append((str(address), port))
        raise ConnectionRefusedError(111, "Connection refused")


class Sender:
    """A client and the names it can resolve; `lookups` are those it asked for. `send` waits for the answer."""

    def __init__(
        self, *, allow: str = "", deny: str = "", private: bool = False, names: Names | None = None,
        open_socket: Callable[[Address, int, float], socket.socket] = open_socket,
        new_context: Callable[[], ssl.SSLContext] | None = None, max_body: int = 1_000_000, max_requests: int = 8,
        proxy: str | None = None, resolve: Resolve | None = None,
    ) -> None:  # fmt: skip
        self.names = dict(names or {})
        self.lookups: list[str] = []
        more: dict[str, Any] = {} if new_context is None else {"new_context": new_context}
        self.client = Client(
            EgressPolicy(naming_rules(allow), rules(deny), private=private),
            max_body=max_body, max_requests=max_requests, proxy=proxy, resolve=resolve or self._resolve,
            open_socket=open_socket,
            **more,
        )  # fmt: skip

    def _resolve(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.names[host]

    def send(
        self, url: str, method: str = "GET", headers: Sequence[tuple[str, bytes]] = (), body: bytes | None = None,
        timeout: float = 10.0, permitted: Callable[[], bool] = always,
    ) -> Response:  # fmt: skip
        request = Request(method, Target.parse(url), headers, body, timeout)
        return asyncio.run(self.client.send(request, permitted))
