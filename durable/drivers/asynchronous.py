"""Carry out operations in an event loop."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack, asynccontextmanager, closing, suppress
from inspect import isawaitable
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncCursor
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from durable.drivers.connecting import AsyncConn, connection_settings
from durable.drivers.ended import has_ended
from durable.drivers.faults import translated, translated_connect
from durable.drivers.hints import hinted_task, listen_statement
from durable.errors import DurableError
from durable.operations.steps import Call, Emit, Listen, Operation, Progress, Statement, Step, Stream, Wait

T = TypeVar("T")

#: Seconds between two attempts to get a listening connection back.
LISTEN_AGAIN_AFTER = 1.0


class AsyncDriver:
    """Runs operations, any number of them at a time, in one event loop."""

    def __init__(self, connections: AsyncPooled) -> None:
        self._connections = connections
        self._listeners: dict[str, Listener] = {}

    async def run(self, operation: Operation[T] | Stream[T], connection: AsyncConn | None = None) -> T:
        """The result of the operation, done in the transaction of `connection` or else committed."""
        progress = Progress(operation)
        async for _ in self._steps(progress, connection):
            pass
        return progress.result

    async def collect(self, operation: Stream[Any], connection: AsyncConn | None = None) -> list[Any]:
        """All that the operation emits."""
        return [value async for value in self._steps(Progress(operation), connection)]

    def stream(self, operation: Stream[Any]) -> AsyncIterator[Any]:
        """What the operation emits, as it comes."""
        return self._steps(Progress(operation), None)

    async def close(self) -> None:
        for listener in self._listeners.values():
            await listener.close()
        await self._connections.close()

    async def _steps(self, progress: Progress[Any], connection: AsyncConn | None) -> AsyncIterator[Any]:
        hint = asyncio.Event()
        with closing(progress), ExitStack() as seats:
            while (step := progress.step()) is not None:
                if isinstance(step, Emit):
                    yield step.value
                    progress.answer(None)
                    continue
                try:
                    progress.answer(await self._perform(step, hint, seats, connection))
                except DurableError as error:
                    progress.fail(error)

    async def _perform(self, step: Step, hint: asyncio.Event, seats: ExitStack, connection: AsyncConn | None) -> Any:
        match step:
            case Statement():
                return await self._execute(step, connection)
            case Call(work):
                return await asyncio.to_thread(work)
            case Listen(channels, task_id):
                for channel in channels:
                    self._listener(channel).seat(task_id, hint)
                    seats.callback(self._listener(channel).leave, task_id, hint)
            case Wait(seconds):
                with suppress(TimeoutError):
                    await asyncio.wait_for(hint.wait(), seconds)
                hint.clear()
        return None

    async def _execute(self, statement: Statement, connection: AsyncConn | None) -> list[tuple[Any, ...]]:
        with translated():
            if connection is not None:
                return await _fetch(connection, statement)
            async with self._connections.connection() as own:
                return await _fetch(own, statement)

    def _listener(self, channel: str) -> Listener:
        if channel not in self._listeners:
            self._listeners[channel] = Listener(channel, self._connections.dedicated)
        return self._listeners[channel]


class Listener:
    """One listening connection for all waits of a client on one channel, kept until the client is closed.

    When the connection is lost nobody is told: their polls go on, and it is made again.
    """

    def __init__(self, channel: str, connect: Callable[[], Awaitable[AsyncConn]]) -> None:
        self._channel = channel
        self._connect = connect
        self._seats: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None

    def seat(self, task_id: int, hint: asyncio.Event) -> None:
        """Set the event at each hint about the task, from some moment soon on and once at that moment."""
        self._seats[task_id].add(hint)
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name=f"listen to {self._channel}")

    def leave(self, task_id: int, hint: asyncio.Event) -> None:
        self._seats[task_id].discard(hint)
        if not self._seats[task_id]:
            del self._seats[task_id]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen(self) -> None:
        while True:
            with suppress(psycopg.Error, DurableError):
                async with await self._connect() as connection:
                    await self._hear(connection)
            await asyncio.sleep(LISTEN_AGAIN_AFTER)

    async def _hear(self, connection: AsyncConn) -> None:
        await connection.execute(listen_statement(self._channel))
        # What was said before this moment was not heard: everybody looks once.
        self._wake(hint for hints in self._seats.values() for hint in hints)
        async for hint in connection.notifies():
            task_id = hinted_task(hint.payload)
            if task_id is not None:
                self._wake(self._seats.get(task_id, ()))

    @staticmethod
    def _wake(hints: Iterable[asyncio.Event]) -> None:
        for hint in hints:
            hint.set()


class AsyncPooled:
    """Connections from a pool: the caller's, or one of our own that is closed with the client."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConn], owned: bool) -> None:
        self._pool = pool
        self._owned = owned
        self._opened = not owned
        self._opening = asyncio.Lock()

    @classmethod
    def to(cls, url: str, max_size: int) -> AsyncPooled:
        """A pool of at most `max_size` connections that connects when it is first used."""
        return cls(
            AsyncConnectionPool(
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

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConn]:
        """A connection for one statement; what it did is committed at the end."""
        async with self._opening:
            if not self._opened:
                # A pool that cannot connect only ever says that it timed out: find out why before it is
                # opened.
                await (await self.dedicated()).close()
                await self._pool.open()
                self._opened = True
        connection = await self._living()
        try:
            async with connection:  # commits, and does not close what is a pool's
                yield connection
        finally:
            await self._pool.putconn(connection)

    async def _living(self) -> AsyncConn:
        """What the pool's own check would do with a round trip before each statement, and pauses of seconds."""
        while True:
            connection = await self._pool.getconn()
            if not has_ended(connection):
                return connection
            await connection.close()
            await self._pool.putconn(connection)

    async def dedicated(self) -> AsyncConn:
        """A connection of its own, which the caller closes."""
        conninfo = await _resolved(self._pool.conninfo)
        settings = dict(await _resolved(self._pool.kwargs) or {}, autocommit=True)
        with translated_connect():
            return await psycopg.AsyncConnection.connect(conninfo, **settings)

    async def close(self) -> None:
        if self._owned:
            await self._pool.close()
            self._opened = True  # a closed pool says so itself


async def _resolved(value: Any) -> Any:
    """The value itself, or what the function or coroutine function gives that stands for it."""
    found = value() if callable(value) else value
    return await found if isawaitable(found) else found


async def _fetch(connection: AsyncConn, statement: Statement) -> list[tuple[Any, ...]]:
    """All rows, whatever row and cursor factories the connection of an application has."""
    async with AsyncCursor(connection, row_factory=tuple_row) as cursor:
        await cursor.execute(statement.sql, statement.params)
        return await cursor.fetchall()
