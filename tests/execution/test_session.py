"""The connection of a worker, and who may end it when."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from durable.journal.faults import JournalUnavailable
from durable.store.session import Session


def test_a_connection_is_not_closed_under_a_statement(database_url: str) -> None:
    """A drained worker closes it while its supervisor still asks for something."""

    async def main() -> None:
        session = Session(database_url, "test", timeout=20, idle_in_transaction=20)
        asks = asyncio.create_task(answer_of(session, "SELECT pg_sleep(0.3), 1"))
        comes_late = asyncio.create_task(answer_of(session, "SELECT 0, 2"))
        await asyncio.sleep(0.1)
        await session.close()
        assert asks.done() and await asks == 1
        with pytest.raises(JournalUnavailable, match="closed"):
            await comes_late
        with pytest.raises(JournalUnavailable, match="closed"):
            await answer_of(session, "SELECT 0, 3")

    asyncio.run(main())


def test_closing_waits_for_a_silent_database_no_longer_than_its_user_does(database_url: str) -> None:
    async def main() -> None:
        session = Session(database_url, "test", timeout=0.3, idle_in_transaction=20)
        asks = asyncio.create_task(answer_of(session, "SELECT pg_sleep(60), 1"))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(session.close(), 10)
        with pytest.raises(JournalUnavailable, match="did not answer"):
            await asks

    asyncio.run(main())


class NoThreads(ThreadPoolExecutor):
    def submit(self, *arguments: Any, **more: Any) -> Any:
        raise RuntimeError("can't start new thread")


def test_a_host_without_a_thread_for_the_name_of_the_database_is_short_of_it_for_a_while() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        session = Session("postgresql://me@localhost:1/db", "test", timeout=20, idle_in_transaction=20)
        with pytest.raises(JournalUnavailable, match="can't start new thread"):
            await answer_of(session, "SELECT 0, 1")

    asyncio.run(main())


async def answer_of(session: Session, statement: str) -> int:
    async with session.use() as connection:
        cursor = await connection.execute(statement)
        ((_, answer),) = await cursor.fetchall()
        return int(answer)
