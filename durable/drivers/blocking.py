"""Carry out operations in the calling thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from threading import BoundedSemaphore
from time import monotonic, sleep
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import Cursor
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool

from durable.drivers.connecting import Conn, connect, connection_settings
from durable.drivers.ended import has_ended
from durable.drivers.faults import translated, translated_connect
from durable.drivers.hints import hinted_task, listen_statement
from durable.errors import DurableError
from durable.operations.steps import Call, Emit, Listen, Operation, Progress, Statement, Step, Stream, Wait

T = TypeVar("T")

#: Connections that one client may spend on listening. Waits beyond it live by their poll alone.
MAX_LISTENERS = 4


class Connections(Protocol):
    """Where statements find a connection, and waits one to listen on."""

    def connection(self) -> AbstractContextManager[Conn]:
        """A connection for one statement; what it did is committed at the end."""

    def dedicated(self) -> Conn:
        """A connection of its own, which the caller closes."""

    def close(self) -> None: ...


class Driver:
    """Runs operations. Threads may share it: what one run needs of its own is made for that run."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._listeners = BoundedSemaphore(MAX_LISTENERS)

    def run(self, operation: Operation[T] | Stream[T], connection: Conn | None = None) -> T:
        """The result of the operation, done in the transaction of `connection` or else committed."""
        progress = Progress(operation)
        for _ in self._steps(progress, connection):
            pass
        return progress.result

    def collect(self, operation: Stream[Any], connection: Conn | None = None) -> list[Any]:
        """All that the operation emits."""
        return list(self._steps(Progress(operation), connection))

    def stream(self, operation: Stream[Any]) -> Iterator[Any]:
        """What the operation emits, as it comes."""
        return self._steps(Progress(operation), None)

    def close(self) -> None:
        self._connections.close()

    def _steps(self, progress: Progress[Any], connection: Conn | None) -> Iterator[Any]:
        with closing(progress), closing(Ear(self._connections, self._listeners)) as ear:
            while (step := progress.step()) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    progress.answer(None)
                    continue
                try:
                    progress.answer(self._perform(step, ear, connection))
                except DurableError as error:
                    progress.fail(error)

    def _perform(self, step: Step, ear: Ear, connection: Conn | None) -> Any:
        match step:
            case Statement():
                return self._execute(step, connection)
            case Call(work):
                return work()
            case Listen(channels, task_id):
                ear.listen(channels, task_id)
            case Wait(seconds):
                ear.wait(seconds)
        return None

    def _execute(self, statement: Statement, connection: Conn | None) -> list[tuple[Any, ...]]:
        with translated():
            if connection is not None:
                return _fetch(connection, statement)
            with self._connections.connection() as own:
                return _fetch(own, statement)


class Ear:
    """The listening connection of one wait. When it cannot be had or is lost, the poll does all the work."""

    def __init__(self, connections: Connections, allowed: BoundedSemaphore) -> None:
        self._connections = connections
        self._allowed = allowed
        self._has_place = False
        self._connection: Conn | None = None
        self._channels: tuple[str, ...] = ()
        self._task_id = 0

    def listen(self, channels: tuple[str, ...], task_id: int) -> None:
        self._channels, self._task_id = channels, task_id
        self._has_place = self._has_place or self._allowed.acquire(blocking=False)
        self._hear_again()

    def wait(self, seconds: float) -> None:
        """Until a hint about the task, or until the time is over."""
        deadline = monotonic() + seconds
        if self._connection is None:
            self._hear_again()
        if not self._heard_a_hint(deadline):
            sleep(max(0.0, deadline - monotonic()))

    def close(self) -> None:
        self._deafen()
        if self._has_place:
            self._has_place = False
            self._allowed.release()

    def _hear_again(self) -> None:
        if not self._has_place:
            return
        try:
            self._connection = self._connections.dedicated()
            for channel in self._channels:
                self._connection.execute(listen_statement(channel))
        except (psycopg.Error, DurableError):
            self._deafen()

    def _heard_a_hint(self, deadline: float) -> bool:
        """False at the deadline, or earlier when nothing can be heard."""
        try:
            while self._connection is not None and (remaining := deadline - monotonic()) > 0:
                for hint in self._connection.notifies(timeout=remaining, stop_after=1):
                    if hinted_task(hint.payload) == self._task_id:
                        return True
        except psycopg.Error:
            self._deafen()
        return False

    def _deafen(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Pooled:
    """Connections from a pool: the caller's, or one of our own that is closed with the client."""

    def __init__(self, pool: ConnectionPool[Conn], owned: bool) -> None:
        self._pool = pool
        self._owned = owned
        self._opened = not owned

    @classmethod
    def to(cls, url: str, max_size: int) -> Pooled:
        """A pool of at most `max_size` connections that connects when it is first used."""
        return cls(
            ConnectionPool(
                url,
                kwargs=connection_settings(url),
                min_size=0,
                max_size=max_size,
                timeout=10.0,
                reconnect_timeout=5.0,  # then the next statement tries again, rather than wait for a long back-off
                open=False,
                name="durable-client",
            ),
            owned=True,
        )

    @contextmanager
    def connection(self) -> Iterator[Conn]:
        if not self._opened:
            # A pool that cannot connect only ever says that it timed out: find out why before it is opened.
            self.dedicated().close()
            self._pool.open()
            self._opened = True
        connection = self._living()
        try:
            with connection:  # commits, and does not close what is a pool's
                yield connection
        finally:
            self._pool.putconn(connection)

    def _living(self) -> Conn:
        """What the pool's own check would do with a round trip before each statement, and pauses of seconds."""
        while True:
            connection = self._pool.getconn()
            if not has_ended(connection):
                return connection
            connection.close()
            self._pool.putconn(connection)

    def dedicated(self) -> Conn:
        conninfo, kwargs = self._pool.conninfo, self._pool.kwargs
        settings = dict((kwargs() if callable(kwargs) else kwargs) or {}, autocommit=True)
        with translated_connect():
            return psycopg.connect(conninfo() if callable(conninfo) else conninfo, **settings)

    def close(self) -> None:
        if self._owned:
            self._pool.close()
            self._opened = True  # a closed pool says so itself


class Single:
    """One connection, made when it is first used and again when it was lost: for a command that ends."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: Conn | None = None

    @contextmanager
    def connection(self) -> Iterator[Conn]:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._url)
        yield self._connection

    def dedicated(self) -> Conn:
        return connect(self._url)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _fetch(connection: Conn, statement: Statement) -> list[tuple[Any, ...]]:
    """All rows, whatever row and cursor factories the connection of an application has."""
    with Cursor(connection, row_factory=tuple_row) as cursor:
        return cursor.execute(statement.sql, statement.params).fetchall()
