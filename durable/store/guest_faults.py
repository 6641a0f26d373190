"""What can go wrong with a guest's statement, and how long the database may take for one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psycopg

from durable.journal.faults import JournalUnavailable
from durable.store.problems import describe
from durable.store.session import Connection

Clock = Callable[[], float]


class TransactionLost(Exception):
    """The guest ended its transaction itself, or did something that leaves none. Nothing it wrote has happened."""


class TookTooLong(TransactionLost):
    """A statement ran for longer than guest_sql_timeout, or this process stood still meanwhile."""


class QueryFailed(Exception):
    """What the database answered to a statement of the guest."""

    def __init__(self, message: str, code: str | None, constraint: str | None, table: str | None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.constraint = constraint
        self.table = table


def failure_of(error: psycopg.Error) -> QueryFailed:
    return QueryFailed(describe(error), error.sqlstate, error.diag.constraint_name, error.diag.table_name)


def idle_time() -> float:
    """Seconds of a clock that stands still while this thread computes. Rows that wait until others had their turn are
    not late by the fault of their statement; of a million rows, read in ten thousand steps, that can be minutes.
    """
    return time.monotonic() - time.thread_time()


class Allowance:
    """How long the database may still take for one statement with all its rows, in seconds of `clock`.

    Only steps count, and not what the guest does between two of them.
    """

    def __init__(self, timeout: float, clock: Clock) -> None:
        self.timeout = timeout
        self.left = timeout
        self._clock = clock
        self._began = 0.0

    def begin_step(self) -> asyncio.Timeout:
        """The deadline of a step, which counts what it computes itself, too: it may be the only one."""
        self._began = self._clock()
        return asyncio.timeout(max(self.left, 0.0))

    def end_step(self) -> None:
        self.left -= self._clock() - self._began


class Faults:
    """The host's own deadline around one step of a statement, whatever the guest set; the database's faults mapped."""

    def __init__(self, connection: Connection, allowance: Allowance) -> None:
        self._connection = connection
        self._allowance = allowance

    async def __aenter__(self) -> None:
        self._deadline = self._allowance.begin_step()
        await self._deadline.__aenter__()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._allowance.end_step()
        try:
            await self._deadline.__aexit__(kind, error, trace)
        except TimeoutError:
            await self._connection.close()
            limit = f"guest_sql_timeout ({self._allowance.timeout:g} s)"
            raise TookTooLong(f"a statement ran for longer than {limit}") from None
        if isinstance(error, psycopg.Error):
            if self._connection.closed:
                raise JournalUnavailable(describe(error)) from None
            # A statement of ours within the guest's transaction, which may have failed before.
            raise failure_of(error) from None
