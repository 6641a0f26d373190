"""A worker as in production, on a loop that a scheduler steps, and the process around it, which can be killed.

Everything of a worker is the real thing but what would make two runs of one seed differ: connections are remembered so
that a death can close them, the listener gets its hints from the scheduler, and the pool for SQL of guests is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import psycopg
import wasmtime

from durable.config import Config
from durable.net.client import Client
from durable.net.errors import NotPermitted
from durable.net.message import Request, Response
from durable.plugins.loaded import LoadedPlugins
from durable.runner import Runner
from durable.simulation.database import Hint
from durable.simulation.loop import SimulatedLoop
from durable.store.guest_pool import GuestPool
from durable.store.guest_sql import GuestTransaction
from durable.store.leases import WorkerIdentity
from durable.store.session import Connection, Session
from durable.store.type_catalog import TypeCatalog
from durable.version import __version__
from durable.wasm.world import World
from workers.listener import Listener
from workers.programs import Programs
from workers.sessions import Sessions
from workers.worker import Worker

#: What an outside service answers to the request of a guest.
Answer = Callable[[Request], Response]


class Connections:
    """The database connections that one process has open."""

    def __init__(self) -> None:
        self._all: list[Connection] = []

    def add(self, connection: Connection) -> Connection:
        self._all = [one for one in self._all if not one.closed]
        self._all.append(connection)
        return connection

    def sessions(self) -> dict[int, int]:
        """Process ids of the server's side, by descriptor."""
        return {one.pgconn.socket: one.pgconn.backend_pid for one in self._all if not one.closed}

    def cut(self, descriptor: int) -> int:
        """Cut one off, as a network does: neither side is told in advance. The process id of the server's side."""
        (one,) = (one for one in self._all if not one.closed and one.pgconn.socket == descriptor)
        return _cut(one)

    def cut_all(self) -> set[int]:
        """As the kernel does when a process dies. The process ids of the server's side."""
        return {_cut(one) for one in self._all if not one.closed}

    def forget(self) -> None:
        """Give the memory of a dead process back; none of its code may be at a connection any more."""
        for one in self._all:
            one.pgconn.finish()
        self._all.clear()


def _cut(connection: Connection) -> int:
    # Not closed: libpq may be in the middle of it, and finds out as it would of any broken connection.
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate, contextlib.suppress(OSError):
        duplicate.shutdown(socket.SHUT_RDWR)
    return connection.pgconn.backend_pid


class _Session(Session):
    connections: Connections

    async def _connect(self) -> Connection:
        return self.connections.add(await super()._connect())


class _Sessions(Sessions):
    def __init__(self, url: str, config: Config, connections: Connections, hints: Hints) -> None:
        self._connections = connections
        self._hints = hints
        super().__init__(url, config)

    def _session(self, purpose: str) -> Session:
        seconds = self._config.heartbeat_timeout / 3
        # The server counts in real time, of which a simulation takes next to none: the scheduler ends idle sessions.
        session = _Session(self.url, purpose, timeout=seconds, idle_in_transaction=3600.0)
        session.connections = self._connections
        return session

    def listener(self, on_task: Callable[[int | None], None], on_notification: Callable[[int], None]) -> Listener:
        return _Listener(self.url, on_task, on_notification, self._hints)


class Hints:
    """The LISTEN of one process: the scheduler says which hints arrive."""

    def __init__(self) -> None:
        self._listener: _Listener | None = None

    def subscribe(self, listener: _Listener) -> None:
        self._listener = listener

    def arrive(self, hint: Hint) -> None:
        if self._listener is not None:
            self._listener._pass_on(*hint)


class _Listener(Listener):
    def __init__(
        self, url: str, on_task: Callable[[int | None], None], on_notification: Callable[[int], None], hints: Hints
    ) -> None:
        super().__init__(url, on_task, on_notification)
        self._hints = hints

    async def _listen(self) -> None:
        self._hints.subscribe(self)
        self._on_task(None)
        await asyncio.get_running_loop().create_future()


class _GuestConnections:
    """A new connection for each transaction: the pool keeps house by real time, in tasks of its own."""

    def __init__(self, url: str, timeout: float, connections: Connections) -> None:
        self._url = url
        self._timeout = timeout
        self._catalog = TypeCatalog()
        self._connections = connections

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[GuestTransaction]:
        try:
            opened = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, application_name="durable guest", connect_timeout=60
            )
        except psycopg.OperationalError as error:
            raise journal_unavailable(error) from None
        connection = self._connections.add(opened)
        transaction = GuestTransaction(connection, self._catalog, self._timeout)
        try:
            yield transaction
        finally:
            await transaction.end()
            await connection.close()

    async def close(self) -> None:
        pass


def journal_unavailable(error: psycopg.Error) -> Exception:
    from durable.store.problems import journal_fault

    return journal_fault(error)


class _Outside:
    """The HTTP client: requests leave the simulation for a function that answers them."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
        await asyncio.sleep(0)  # a thread takes it up
        if not permitted():
            raise NotPermitted
        response = self._answer(request)
        await asyncio.sleep(0.005)  # for as long as it is on its way back, the world can change
        return response

    def close(self) -> None:
        pass


class SimulatedWorker(Worker):
    """The real worker with the parts above. `number` tells the processes of a run apart."""

    def __init__(
        self, config: Config, process: Process, number: int, answer: Answer, guests: Callable[[Worker], Guests],
    ) -> None:  # fmt: skip
        super().__init__(config, on_registered=process.worker_ids.append)
        assert config.database_url is not None
        self._sessions = _Sessions(config.database_url, config, process.connections, process.hints)
        self._guests = cast(
            GuestPool, _GuestConnections(config.database_url, config.guest_sql_timeout, process.connections)
        )
        self._http.close()
        self._http = cast(Client, _Outside(answer))
        # No boot: whether a process is gone is for its heartbeat to tell, or for the scheduler.
        self._identity = WorkerIdentity("simulated", "", number, 0, __version__)
        self._monotonic_ns = process.monotonic_ns
        self._make_guests = guests

    def _prepare(self) -> LoadedPlugins:
        self._runner, self._programs = self._make_guests(self)
        self._plugins = LoadedPlugins((), cast(World, None), cast(wasmtime.Engine, None))
        return self._plugins


#: How a worker runs guests.
Guests = tuple[Runner, Programs]


class Process:
    """One simulated process of a worker.

    `skew` (seconds) is how far its clock is from others'; `frozen` (microseconds) how long it stood still with its host.
    """

    def __init__(self, number: int, now: Callable[[], int], skew: float, wrong: Callable[[str], None]) -> None:
        self.number = number
        self._now = now
        self._skew = int(skew * 1_000_000)
        self.frozen = 0
        self.loop = SimulatedLoop(lambda: self.monotonic_ns() / 1e9, wrong)
        self.connections = Connections()
        self.hints = Hints()
        self.worker_ids: list[int] = []
        self.worker: SimulatedWorker | None = None
        self.main: asyncio.Task[None] | None = None
        self.is_paused = False
        self.freezes = False
        self.paused_at = 0
        self.is_draining = False

    def monotonic_ns(self) -> int:
        return (self._now() + self._skew - self.frozen) * 1000

    def start(self, worker: SimulatedWorker) -> None:
        self.worker = worker
        self.main = self.loop.create_task(self._live(worker), name=f"process {self.number}")

    async def _live(self, worker: SimulatedWorker) -> None:
        await worker.start()
        await worker.wait_closed()

    def __str__(self) -> str:
        return f"worker {self.worker_ids[-1]}" if self.worker_ids else f"process {self.number}"
