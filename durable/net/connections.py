"""urllib3's connections with two changes: they dial through the policy, and read hostile servers with care."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection

from durable.net.dialer import Dialer
from durable.net.head import Head, read_head
from durable.net.message import Header
from durable.net.target import Target

_BUFFER = 65_536


class Incoming(http.client.HTTPResponse):
    """A response that is being read: its head is there, its body comes out of `fp`."""

    head: Head

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.fp = io.BufferedReader(self.fp.detach(), _BUFFER)

    def begin(self) -> None:
        self.head = read_head(self.fp)
        self.will_close = not self.head.keeps_open


class _Dialing(HTTPConnection):
    """Opens its socket by `dial`, which has decided where to. `used_at` is when it was last used (monotonic)."""

    dial: Callable[[float], socket.socket]
    used_at: float = 0.0
    response_class = Incoming

    def _new_conn(self) -> socket.socket:
        assert self.timeout is not None
        return self.dial(self.timeout)

    def limit(self, seconds: float) -> None:
        """From here on everything on this connection may take so long."""
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def send_request(self, method: str, path: str, headers: Sequence[Header], body: bytes | None) -> None:
        """Exactly these headers, in this order, and nothing else."""
        self.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value)  # type: ignore[arg-type]  # bytes are sent as they are
        self.endheaders(body)

    def read_head(self) -> Incoming:
        """The response, of which the body is still to be read."""
        # Not urllib3's, which makes a response of its own.
        response = http.client.HTTPConnection.getresponse(self)
        assert isinstance(response, Incoming)
        self.used_at = monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        """False also when the server has said something that nobody has read, or its TLS layer holds such a thing."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return False
        return super().is_connected

    def is_read_out(self, response: Incoming) -> bool:
        """True unless the server has sent more than its response, which nobody must take for the next one."""
        if self.sock is None or not self.is_connected:
            return False
        self.sock.settimeout(0.0)
        try:
            return not response.fp.peek(1)
        except TimeoutError:  # nothing is buffered, and the socket was not asked
            return True


class PlainConnection(_Dialing):
    """HTTP."""


class SecureConnection(_Dialing, HTTPSConnection):
    """HTTP over TLS. The certificate is checked for the host of the URL, whatever address was dialled."""


Connection = PlainConnection | SecureConnection


class Connector:
    """Makes connections that are open and, for https, verified; directly or through one proxy."""

    def __init__(self, dialer: Dialer, new_context: Callable[[], ssl.SSLContext], proxy: Target | None = None) -> None:
        self._dialer = dialer
        self._new_context = new_context
        self._context: ssl.SSLContext | None = None
        self._proxy = proxy

    def forwards(self, target: Target) -> bool:
        """True when requests for this target are handed to the proxy to be made by it."""
        return self._proxy is not None and target.scheme == "http"

    @property
    def proxy_headers(self) -> list[Header]:
        """What a forwarding proxy wants to see besides the request."""
        if self._proxy is None or self._proxy.authorization is None:
            return []
        return [("proxy-authorization", self._proxy.authorization)]

    def connect(self, target: Target, timeout: float) -> Connection:
        """Raises EgressRefused, ConnectFailed, and whatever sockets and TLS raise."""
        connection = self._through_proxy(target) if self._proxy else self._direct(target)
        connection.timeout = timeout
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection

    def _direct(self, target: Target) -> Connection:
        connection = self._new(target, target.host, target.port)
        connection.dial = lambda timeout: self._dialer.dial(target, timeout)
        return connection

    def _through_proxy(self, target: Target) -> Connection:
        proxy = self._proxy
        assert proxy is not None
        self._dialer.check_for_proxy(target)
        connection = self._new(target, proxy.host, proxy.port)
        connection.dial = lambda timeout: self._dialer.dial_proxy(proxy, timeout)
        if not self.forwards(target):
            headers = {name: value.decode("latin-1") for name, value in self.proxy_headers}
            connection.set_tunnel(target.host, target.port, headers, scheme="http")
        return connection

    def _new(self, target: Target, host: str, port: int) -> Connection:
        if target.scheme == "http":
            return PlainConnection(host, port)
        if self._context is None:  # reads the certificates of the system: a moment, and not for everybody
            self._context = self._new_context()
        return SecureConnection(host, port, ssl_context=self._context)
