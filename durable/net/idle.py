"""Connections that wait for the next request to the same server: few, and not for long."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

from durable.net.connections import Connection

#: Shorter than servers wait (5 s is common): a request that meets the end of a connection fails, and is not repeated.
MAX_IDLE_SECONDS = 4.0

Origin = tuple[str, str, int]


class IdleConnections:
    """At most `limit` open connections, whatever their origin. Used by many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._connections: deque[tuple[Origin, Connection]] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._connections)

    def take(self, origin: Origin) -> Connection | None:
        """The one that was used last, if there is one that the server has left open."""
        while (connection := self._pop(origin)) is not None:
            if monotonic() - connection.used_at < MAX_IDLE_SECONDS and connection.is_connected:
                return connection
            connection.close()
        return None

    def put(self, origin: Origin, connection: Connection) -> None:
        """Keep an open connection on which nothing is left to be read."""
        with self._lock:
            if not self._closed:
                self._connections.append((origin, connection))
            surplus = [connection] if self._closed else self._surplus()
        for one in surplus:
            one.close()

    def close(self) -> None:
        """Close all of them, and those that come later as they come."""
        with self._lock:
            self._closed = True
            connections, self._connections = self._connections, deque()
        for _, connection in connections:
            connection.close()

    def _pop(self, origin: Origin) -> Connection | None:
        with self._lock:
            for index in range(len(self._connections) - 1, -1, -1):
                if self._connections[index][0] == origin:
                    connection = self._connections[index][1]
                    del self._connections[index]
                    return connection
        return None

    def _surplus(self) -> list[Connection]:
        """The oldest, as far as they are too old or too many."""
        surplus = []
        oldest = monotonic() - MAX_IDLE_SECONDS
        while len(self._connections) > self._limit or (self._connections and self._connections[0][1].used_at < oldest):
            surplus.append(self._connections.popleft()[1])
        return surplus
