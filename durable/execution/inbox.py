"""The notifications of one running task: looked at in batches, taken one by one, deleted together with their event."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from durable.execution.tail import Tail
from durable.failpoints import passing
from durable.model import Notification


class NotificationReader(Protocol):
    async def notifications(self, task_id: int) -> list[Notification]:
        """Notifications that the task can take now, in their order, a bounded number."""


class Inbox:
    """Only the holder of the lease takes notifications, so what was looked at stays there until it is taken.

    The order is that of the ids; a sender whose transaction commits late may still bring a lower one than the last
    taken, so every look is at the whole table, after everything taken before has been deleted for good.
    """

    __slots__ = ("_arrived", "_reader", "_seen", "_tail", "waiting")

    def __init__(self, tail: Tail, reader: NotificationReader) -> None:
        self._tail = tail
        self._reader = reader
        self._seen: deque[Notification] = deque()
        self._arrived = asyncio.Event()
        self.waiting = False

    def hint(self) -> None:
        """Something may have arrived; look again."""
        self._arrived.set()

    async def take(self) -> Notification | None:
        """The oldest notification, or None when there is none now."""
        if not self._seen:
            await self._tail.durable()
            self._arrived.clear()
            self._seen.extend(await self._reader.notifications(self._tail.task_id))
            passing("inbox.read")
        return self._seen.popleft() if self._seen else None

    async def wait(self, timeout: float) -> None:
        """Return when a hint has come since the last look, or after `timeout` seconds."""
        self.waiting = True
        try:
            async with asyncio.timeout(timeout):
                await self._arrived.wait()
        except TimeoutError:
            pass
        finally:
            self.waiting = False
