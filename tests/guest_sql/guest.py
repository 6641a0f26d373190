"""A workflow's transaction without a workflow: a test sends statements through the functions of the host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from durable.config import Config
from durable.execution.database import GuestDatabase
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.host import core, sql
from durable.model import ClaimedTask, Event
from durable.store.guest_pool import GuestPool
from durable.timing import DatabaseClock
from durable.wasm.values import Err
from tests.execution.tables import Tables
from tests.host.stage import Outside, Written

ALL_ROWS = (2, False)

#: What a session remembers beyond its transactions.
_STATE = """
SELECT 'user ' || session_user || ' as ' || current_user
UNION ALL SELECT name || ' = ' || setting FROM pg_settings WHERE name NOT LIKE 'plpgsql.%'
UNION ALL SELECT 'prepared ' || name FROM pg_prepared_statements
UNION ALL SELECT 'cursor ' || name FROM pg_cursors
UNION ALL SELECT 'listens to ' || channel FROM pg_listening_channels() AS channel
UNION ALL SELECT 'has locked ' || objid FROM pg_locks WHERE locktype = 'advisory'
UNION ALL SELECT 'temporary ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
"""


class Guest:
    """One task with its lease, about to run."""

    def __init__(self, task: int, database: GuestDatabase) -> None:
        self.task = task
        self._written = Written(Outside())
        claimed = ClaimedTask(task, "t", "null", datetime(2026, 1, 1, tzinfo=UTC), 1, 1, 0, None, None)
        tail = Tail(task, 1, self._written)
        self.run = Run(claimed, Config(), tail, DatabaseClock(), Outside(), database=database)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Guest]:
        """Open; whatever happens in it, its connection is given back, as the runner sees to it."""
        core.transaction_enter(self.run, "sql", True)
        try:
            yield self
        finally:
            await self.run.close()

    async def send(self, statement: str, options: tuple[int, bool] = ALL_ROWS) -> list[Any]:
        """Everything that the guest is answered: rows, then a count, or an error."""
        await sql.query(self.run, statement, [], options)
        return await self.rest()

    async def rest(self) -> list[Any]:
        """What the guest was not yet answered to its last statement."""
        answers: list[Any] = []
        while (answer := await sql.fetch(self.run)) is not None:
            answers.append(answer.value)
            if isinstance(answer, Err):
                break
        return answers

    async def commit(self) -> None:
        """End the transaction, as the guest does it."""
        ending = core.transaction_exit(self.run, "true")
        if ending is not None:
            await ending

    async def session_state(self) -> set[str]:
        """What the session of the open transaction remembers."""
        answers = await self.send(_STATE)
        return {answer.value[0][0][1].data.decode() for answer in answers if answer.name == "row"}

    async def state_of_its_session(self) -> set[str]:
        """The same in a transaction that does nothing else: what this workflow finds."""
        async with self.transaction():
            return await self.session_state()

    @property
    def recorded_without_sql(self) -> list[Event]:
        """Events that went the way of transactions that wrote nothing."""
        if self._written.tail is not None:
            self._written.hurry()
        return [event for part in self._written.parts for event in part.events]


def worker_with_secret(tables: Tables) -> tuple[int, UUID]:
    ((worker, secret),) = tables.rows("INSERT INTO durable.worker DEFAULT VALUES RETURNING id, secret")
    return worker, secret


@asynccontextmanager
async def guest_pool(
    url: str, connections: int = 1, timeout: float = 20.0, idle: float = 10.0
) -> AsyncIterator[GuestPool]:
    pool = GuestPool(url, connections=connections, timeout=timeout, idle=idle)
    try:
        yield pool
    finally:
        await pool.close()
