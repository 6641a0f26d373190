"""Host names to addresses, within a time."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address

from durable.egress import Address
from durable.net.errors import ConnectFailed
from durable.net.threads import Threads

#: All addresses of a host name, as text. Raises OSError. May block for as long as it likes.
Resolve = Callable[[str, int], Sequence[str]]

_MAX_THREADS = 32


def system_resolve(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]


class Lookup:
    """Asks a resolver that has no timeout of its own, in threads of its own: a name server that is silent costs those,
    and not the threads that talk to servers.
    """

    def __init__(self, resolve: Resolve = system_resolve) -> None:
        self._resolve = resolve
        self._threads = Threads(_MAX_THREADS, "durable-lookup")

    def addresses(self, host: str, port: int, timeout: float) -> list[Address]:
        """All addresses, without doubles. Raises ConnectFailed, TimeoutError."""
        try:
            answer: Future[Sequence[str]] = self._threads.submit(lambda: self._resolve(host, port))
        except RuntimeError as error:
            raise ConnectFailed(f"the host name {host} cannot be resolved: {error}") from None
        try:
            # A zone tells the interface of a link-local address; which network it is in does not depend on it.
            found = {ip_address(text.partition("%")[0]): None for text in answer.result(timeout)}
        except TimeoutError:
            answer.cancel()
            raise
        except (OSError, ValueError) as error:
            raise ConnectFailed(f"the host name {host} cannot be resolved: {_reason(error)}") from None
        if not found:
            raise ConnectFailed(f"the host name {host} has no address")
        return list(found)

    def close(self) -> None:
        self._threads.close()


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
