"""The database as one workflow's transactions see it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from uuid import UUID

from durable.store.guest_pool import GuestPool
from durable.store.guest_sql import GuestTransaction


class GuestDatabase:
    """The guests' connections, and the secret of the worker that records their events."""

    def __init__(self, pool: GuestPool, secret: UUID) -> None:
        self._pool = pool
        self._secret = secret

    async def begin(self, task_id: int, lease: int, index: int) -> DatabaseTransaction:
        """Wait for a connection and begin the transaction that will record event `index`. Raises JournalUnavailable."""
        async with AsyncExitStack() as held:
            sql = await held.enter_async_context(self._pool.connection())
            await sql.begin(task_id, index)
            return DatabaseTransaction(sql, held.pop_all(), self._secret, task_id, lease, index)


class DatabaseTransaction:
    """The open database transaction of an `is-db` transaction. `sql` runs its statements."""

    def __init__(
        self, sql: GuestTransaction, held: AsyncExitStack, secret: UUID, task_id: int, lease: int, index: int
    ) -> None:
        self.sql = sql
        self._held = held
        self._secret = secret
        self._task_id = task_id
        self._lease = lease
        self._index = index

    async def commit(self, label: str, value: str, log: str) -> bool:
        """Commit what the guest wrote together with its event; False when the lease is over.

        Raises what GuestTransaction.record raises.
        """
        return await self.sql.record(self._task_id, self._lease, self._secret, self._index, label, value, log)

    async def release(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        await self._held.aclose()
