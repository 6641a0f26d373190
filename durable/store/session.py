"""One database connection of a worker, opened when it is needed and again after it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import TupleRow

from durable import metrics
from durable.errors import DatabaseUnavailable
from durable.failed_login import no_socket_kept
from durable.journal.faults import JournalUnavailable
from durable.store.problems import describe, kind_of

Connection = psycopg.AsyncConnection[TupleRow]

CONNECT_TIMEOUT = 5  # seconds

_SETTINGS = """
SELECT set_config('idle_in_transaction_session_timeout', %s, false), set_config('lock_timeout', %s, false),
       set_config('statement_timeout', '0', false), set_config('synchronous_commit', 'on', false)
"""


class Session:
    """Hands its one connection to one caller at a time, in the order of asking.

    `timeout` bounds every use, in seconds: a network that has gone deaf must not hold a worker past its lease.
    `idle_in_transaction` (seconds) frees the locks of a process that is stopped within a transaction.
    """

    def __init__(self, url: str, name: str, *, timeout: float, idle_in_transaction: float) -> None:
        self._url = url
        self._name = name
        self._timeout = timeout
        self._lock_timeout = timeout / 2  # seconds; 0 is no limit
        self._idle_in_transaction = idle_in_transaction
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection, in autocommit mode.

        Raises JournalUnavailable when it cannot be opened, breaks or was closed; errors of statements pass as they
        are, after which the connection is good for the next caller.
        """
        async with self._turn:
            if self._closed:
                raise JournalUnavailable("the connection has been closed")
            try:
                async with asyncio.timeout(self._timeout):
                    yield await self._open()
            except TimeoutError:
                metrics.db_errors["timeout"].inc()
                await self._drop()
                raise JournalUnavailable(f"the database did not answer within {self._timeout:g} s") from None
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                metrics.db_errors[kind_of(error)].inc()
                if self._connection is None or self._connection.closed:
                    await self._drop()
                    raise JournalUnavailable(describe(error)) from None
                raise
            except BaseException as error:
                if isinstance(error, psycopg.Error):
                    metrics.db_errors[kind_of(error)].inc()
                # Cancelled in the middle of a statement: nobody knows what the connection will answer next.
                if self._connection is not None and self._connection.pgconn.transaction_status != 0:
                    await self._drop()
                raise

    async def close(self) -> None:
        """For good. Whoever uses the connection comes to an end first: that takes `timeout` at most, and up to ten
        seconds more on a network that has gone deaf, in which psycopg tries to cancel the statement.

        Never under a statement that waits for its answer: psycopg would go on with memory that libpq has freed.
        """
        self._closed = True
        async with self._turn:
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = None
            self._connection = await self._connect()
        return self._connection

    async def _connect(self) -> Connection:
        connection = await self._dial()
        milliseconds = (f"{seconds * 1000:.0f}" for seconds in (self._idle_in_transaction, self._lock_timeout))
        await connection.execute(_SETTINGS, tuple(milliseconds))
        return connection

    async def _dial(self) -> Connection:
        try:
            with no_socket_kept():
                return await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT,
                    application_name=f"durable {self._name}",
                    keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
                )  # fmt: skip
        except (OSError, RuntimeError) as error:  # no descriptor, or no thread that looks up the name of the host
            raise psycopg.OperationalError(f"this host cannot connect now: {error}") from None


async def check_reachable(session: Session) -> None:
    """Raises DatabaseUnavailable, in words for an operator, when there is no way to the database."""
    try:
        async with session.use() as connection:
            await connection.execute("SELECT 1")
    except (JournalUnavailable, psycopg.Error) as error:
        raise DatabaseUnavailable(f"the database cannot be reached: {error}") from None
