"""Sockets whose timeout counts for everything that follows, so that a server which trickles gains nothing.

The timeout of Python's sockets is for one call: a server that sends a byte now and then could keep a reader for ever.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from time import monotonic
from typing import Any

from durable.egress import Address

#: Opens a connection to an address and port within so many seconds. Raises OSError.
OpenSocket = Callable[[Address, int, float], socket.socket]


class TimedSocket(socket.socket):
    """`settimeout` sets the time for all calls until the next `settimeout` together."""

    _ends: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._ends = None if value is None else monotonic() + value
        super().settimeout(value)

    def recv(self, *arguments: Any) -> bytes:
        self._restrict()
        return super().recv(*arguments)

    def recv_into(self, *arguments: Any) -> int:
        self._restrict()
        return super().recv_into(*arguments)

    def send(self, *arguments: Any) -> int:
        self._restrict()
        return super().send(*arguments)

    def sendall(self, *arguments: Any) -> None:
        self._restrict()
        super().sendall(*arguments)

    def _restrict(self) -> None:
        if self._ends is not None:
            left = self._ends - monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            super().settimeout(left)


class TimedTLSSocket(TimedSocket, ssl.SSLSocket):
    """The same on top of TLS; made by a context whose `sslsocket_class` it is."""


def open_socket(address: Address, port: int, timeout: float) -> socket.socket:
    """A connection to this address, and to no other: nothing is resolved here."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = TimedSocket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(timeout)
        connection.connect((str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection


def new_tls_context() -> ssl.SSLContext:
    """Certificates and host names are verified against the system's authorities."""
    return with_timed_sockets(ssl.create_default_context())


def with_timed_sockets(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, changed to make timed sockets."""
    context.sslsocket_class = TimedTLSSocket
    return context
