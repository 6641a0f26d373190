"""Runs one coroutine of a test on the guests' pool of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from durable.execution.database import GuestDatabase
from tests.guest_sql.guest import Guest, guest_pool

Play = Callable[[GuestDatabase], Awaitable[None]]


def play(
    url: str, secret: UUID, actions: Play, *, connections: int = 1, timeout: float = 20.0, idle: float = 10.0
) -> None:
    async def main() -> None:
        async with guest_pool(url, connections, timeout, idle) as pool:
            await actions(GuestDatabase(pool, secret))

    asyncio.run(main())


async def write(guest: Guest, *statements: str) -> None:
    """Send statements and end the transaction, as a workflow does."""
    async with guest.transaction():
        for statement in statements:
            await guest.send(statement)
        await guest.commit()
