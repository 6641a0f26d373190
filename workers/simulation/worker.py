"""A worker as in production, but for what would make two runs of one seed differ.

Its connections are remembered, so that a death can close them; the scheduler brings the hints; the SQL of guests has no
pool; HTTP requests leave the simulation for a function that answers them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

import psycopg

from durable.config import Config
from durable.net.client import Client
from durable.net.errors import NotPermitted
from durable.net.message import Request, Response
from durable.store.guest_pool import GuestPool
from durable.store.guest_sql import GuestTransaction
from durable.store.problems import journal_fault
from durable.store.session import Connection, Session
from durable.store.type_catalog import TypeCatalog
from workers.listener import Listener
from workers.sessions import Sessions
from workers.simulation.connection import SimulatedConnection
from workers.simulation.process import Connections, Hints, Process
from workers.worker import Worker

#: What an outside service answers to the request of a guest.
Answer = Callable[[Request], Response]
_AN_HOUR = 3600.0


class SimulatedWorker(Worker):
    """The real worker with the parts below."""

    def __init__(self, config: Config, process: Process, answer: Answer) -> None:
        super().__init__(config, on_registered=process.worker_ids.append, plugins=())
        assert config.database_url is not None
        self._sessions = _Sessions(config.database_url, config, process.connections, process.hints)
        guests = _GuestConnections(config.guest_sql_timeout, process.connections)
        self._guests = cast(GuestPool, guests)
        self._http.close()
        self._http = cast(Client, _Outside(answer))
        # No boot: whether a process is gone is for its heartbeat to tell, or for the scheduler.
        self._identity = replace(self._identity, host="simulated", boot="", pid=process.number, pid_started=0)
        self._monotonic_ns = process.monotonic_ns


class _Session(Session):
    """The server counts in real time, of which a simulation takes next to none: the scheduler ends idle sessions, and
    nothing else ends the wait for a lock than the `timeout` of the session itself.
    """

    def __init__(self, url: str, name: str, connections: Connections, *, timeout: float) -> None:
        super().__init__(url, name, timeout=timeout, idle_in_transaction=_AN_HOUR)
        self._lock_timeout = 0.0
        self._connections = connections

    async def _dial(self) -> Connection:
        return await self._connections.open(f"durable {self._name}")


class _Sessions(Sessions):
    def __init__(self, url: str, config: Config, connections: Connections, hints: Hints) -> None:
        self._connections = connections
        self._hints = hints
        super().__init__(url, config)

    def _session(self, purpose: str) -> Session:
        return _Session(self.url, purpose, self._connections, timeout=self._config.heartbeat_timeout / 3)

    def listener(self, on_task: Callable[[int | None], None], on_notification: Callable[[int], None]) -> Listener:
        return _Listener(self.url, on_task, on_notification, self._hints)


class _Listener(Listener):
    def __init__(
        self, url: str, on_task: Callable[[int | None], None], on_notification: Callable[[int], None], hints: Hints
    ) -> None:
        super().__init__(url, on_task, on_notification)
        self._hints = hints

    async def _listen(self) -> None:
        self._hints.subscribe(self._pass_on)
        self._on_task(None)
        await asyncio.get_running_loop().create_future()


class _GuestConnections:
    """A new connection for each transaction: the pool keeps house by real time, in tasks of its own."""

    def __init__(self, timeout: float, connections: Connections) -> None:
        self._timeout = timeout
        self._catalog = TypeCatalog()
        self._connections = connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[GuestTransaction]:
        connection = await self._connect()
        transaction = GuestTransaction(connection, self._catalog, self._timeout, asyncio.get_running_loop().time)
        try:
            yield transaction
        finally:
            await transaction.end()
            await connection.close()

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _connect(self) -> SimulatedConnection:
        try:
            return await self._connections.open("durable guest")
        except psycopg.OperationalError as error:
            raise journal_fault(error) from None


class _Outside:
    """The HTTP client."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
        await asyncio.sleep(0)  # a thread takes it up
        if not permitted():
            raise NotPermitted
        response = self._answer(request)
        await asyncio.sleep(0.005)  # while it is on its way back the world can change
        return response

    def close(self) -> None:
        """There is nothing to close."""
