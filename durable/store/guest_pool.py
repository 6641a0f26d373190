"""Connections for the SQL of guests: a bounded number per worker, handed out in the order of asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

from psycopg import Notify
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from durable.journal.faults import JournalUnavailable
from durable.store.guest_sql import GuestTransaction
from durable.store.queries import load
from durable.store.session import Connection
from durable.store.type_catalog import TypeCatalog

_QUERIES = load("guest")
_FOR_EVER = 86_400.0
#: Seconds to clean a connection: a network that has gone deaf must not hold those who do it for all.
_CLEAN_UP = 5.0
#: Seconds in which the pool tries to connect, with longer and longer pauses; then it gives up, and begins again.
GIVE_UP_AFTER = 5.0
_BEGIN_AGAIN_AFTER = 1.0


class GuestPool:
    """Opens connections when the first guest needs one.

    `url` may be that of a login of its own that reaches only what the operator grants it. PostgreSQL ends a transaction
    from which it has heard nothing for `idle` seconds, so that a stopped process cannot hold a guest's locks past its
    lease. A guest that takes its time is no stopped process: we speak for it.
    """

    def __init__(self, url: str, *, connections: int, timeout: float, idle: float) -> None:
        self._timeout = timeout
        self._idle = idle
        self._clean_up = _QUERIES["clean"].format(idle=round(idle * 1000))
        self._catalog = TypeCatalog()
        self._opened = False
        self._planned_otherwise: WeakSet[Connection] = WeakSet()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            kwargs={
                "application_name": "durable guest", "autocommit": True, "connect_timeout": 5,
                "client_encoding": "utf8", "prepare_threshold": None,  # a guest could replace what was prepared
            },
            min_size=0, max_size=connections, max_idle=60, timeout=_FOR_EVER, open=False, name="durable-guests",
            configure=self._prepare, reset=self._clean,
            reconnect_timeout=GIVE_UP_AFTER, reconnect_failed=self._gave_up,
        )  # fmt: skip
        self._returning: set[asyncio.Task[None]] = set()
        self._asking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[GuestTransaction]:
        """A transaction to begin, on a connection that goes back clean, also when whoever used it is stopped while it
        goes back. Raises JournalUnavailable.
        """
        if not self._opened:
            self._opened = True
            await self._pool.open()
        try:
            connection = await self._pool.getconn()
        except (PoolTimeout, PoolClosed) as error:
            raise JournalUnavailable(f"no connection for SQL: {error}") from None
        transaction = GuestTransaction(connection, self._catalog, self._timeout)
        speaking = asyncio.create_task(self._speak_for(transaction))
        try:
            yield transaction
        finally:
            returning = asyncio.create_task(self._take_back(connection, transaction, speaking))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            await asyncio.shield(returning)

    async def _take_back(
        self, connection: Connection, transaction: GuestTransaction, speaking: asyncio.Task[None]
    ) -> None:
        # Nobody may close a connection while somebody waits for its answer: psycopg would go on with freed memory.
        speaking.cancel()
        await asyncio.wait([speaking])
        try:
            await transaction.end()
        finally:
            if transaction.has_set:
                self._planned_otherwise.add(connection)
            await self._pool.putconn(connection)

    async def _speak_for(self, transaction: GuestTransaction) -> None:
        while True:
            await asyncio.sleep(self._idle / 3)
            await transaction.touch()

    async def _gave_up(self, pool: AsyncConnectionPool[Connection]) -> None:
        """Those who wait have asked already, and nothing but being asked makes a pool connect that has nothing left."""
        left = pool.get_stats()
        if left["requests_waiting"] and not left["pool_size"]:
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        await asyncio.sleep(_BEGIN_AGAIN_AFTER)
        with suppress(PoolTimeout, PoolClosed):
            await self._pool.putconn(await self._pool.getconn(timeout=0.01))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        if self._returning:
            await asyncio.wait(self._returning)
        if self._opened:
            await self._pool.close()

    async def _prepare(self, connection: Connection) -> None:
        """A new connection; it may lead to another server than the ones before."""
        self._catalog.forget_all()
        connection.add_notify_handler(_drop)
        await self._clean(connection)

    async def _clean(self, connection: Connection) -> None:
        async with asyncio.timeout(_CLEAN_UP):
            await connection.execute(self._clean_up)
            if connection in self._planned_otherwise:
                self._planned_otherwise.discard(connection)
                await connection.execute(_QUERIES["clean_plans"])


def _drop(notification: Notify) -> None:
    """No workflow can ask for one, and psycopg would keep what it has no handler for as long as the connection."""
