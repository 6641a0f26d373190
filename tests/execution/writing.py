"""One write to a journal, through a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from durable.journal.part import JournalPart, TaskChange
from durable.model import Event
from durable.store.journal import JournalStore
from durable.store.session import Session


@asynccontextmanager
async def session(url: str, timeout: float = 20.0) -> AsyncIterator[Session]:
    session = Session(url, "test", timeout=timeout, idle_in_transaction=10.0)
    try:
        yield session
    finally:
        await session.close()


def append(url: str, worker: int, *parts: JournalPart) -> set[int]:
    async def main() -> set[int]:
        async with session(url) as connection:
            return await JournalStore(connection, worker).append(parts)

    return asyncio.run(main())


def part(task: int, lease: int = 1, events: int = 0, change: TaskChange | None = None) -> JournalPart:
    recorded = [Event(index, f"label {index}", str(index)) for index in range(events)]
    return JournalPart(task, lease, recorded, change=change)
