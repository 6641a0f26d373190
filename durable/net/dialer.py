"""From a host name to a connection: resolve once, check every answer, connect to one that was checked."""

from __future__ import annotations

import socket
from time import monotonic

from durable.egress import Address
from durable.net.errors import ConnectFailed
from durable.net.lookup import Lookup
from durable.net.policy import EgressPolicy
from durable.net.sockets import OpenSocket
from durable.net.target import Target


class Dialer:
    """Opens connections for a policy."""

    def __init__(self, policy: EgressPolicy, lookup: Lookup, open_socket: OpenSocket) -> None:
        self._policy = policy
        self._lookup = lookup
        self._open_socket = open_socket

    def dial(self, target: Target, timeout: float) -> socket.socket:
        """A connection to the target's server. Raises EgressRefused, ConnectFailed, TimeoutError."""
        ends = monotonic() + timeout
        if target.address is not None:
            addresses = [target.address]
        else:
            addresses = self._lookup.addresses(target.host, target.port, timeout)
        self._policy.check(target.host, addresses, target.port)
        return self._connect(str(target), addresses, target.port, ends)

    def check_for_proxy(self, target: Target) -> None:
        """Raise EgressRefused unless a proxy may be asked for this target."""
        if target.address is not None:
            self._policy.check(target.host, [target.address], target.port)
        else:
            self._policy.check_name(target.host, target.port)

    def dial_proxy(self, proxy: Target, timeout: float) -> socket.socket:
        """A connection to the operator's own proxy, which no policy is about. Raises ConnectFailed, TimeoutError."""
        ends = monotonic() + timeout
        addresses = [proxy.address] if proxy.address else self._lookup.addresses(proxy.host, proxy.port, timeout)
        return self._connect(f"the proxy {proxy}", addresses, proxy.port, ends)

    def _connect(self, name: str, addresses: list[Address], port: int, ends: float) -> socket.socket:
        """One address after the other; each gets its share of what is left of the time."""
        failure: OSError = TimeoutError("timed out")
        for number, address in enumerate(addresses):
            share = (ends - monotonic()) / (len(addresses) - number)
            if share <= 0:
                break
            try:
                connection = self._open_socket(address, port, share)
            except OSError as error:
                failure = error
            else:
                connection.settimeout(max(ends - monotonic(), 0.001))  # for TLS, and a proxy's answer
                return connection
        if isinstance(failure, TimeoutError):
            raise failure
        raise ConnectFailed(f"no connection to {name}: {failure.strerror or failure}") from None
