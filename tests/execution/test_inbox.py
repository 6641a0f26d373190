"""Notifications are taken one by one in their order; a hint that comes at any moment leads to another look."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from durable.execution.inbox import Inbox
from durable.execution.tail import Tail, lost_lease
from durable.journal.faults import Fenced, JournalUnavailable
from durable.model import Notification

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def notification(number: int) -> Notification:
    return Notification(number, MOMENT, f"event {number}", "null")


class Desk:
    """The database as an inbox sees it: what is taken is deleted by the write that follows."""

    def __init__(self, *numbers: int) -> None:
        self.table = [notification(number) for number in numbers]
        self.done: list[str] = []
        self.while_reading: Callable[[], None] = lambda: None
        self.tail = Tail(7, 1, self)
        self.inbox = Inbox(self.tail, self)

    # as a writer
    def notice(self, tail: Tail) -> None:
        return None

    def hurry(self) -> None:
        part = self.tail.cut()
        assert part is not None
        self.done.append(f"delete {part.taken}")
        self.table = [one for one in self.table if one.id not in part.taken]
        self.tail.committed(self.tail.added)

    # as a reader
    async def notifications(self, task_id: int) -> list[Notification]:
        assert task_id == 7
        self.done.append(f"read {[one.id for one in self.table]}")
        found = list(self.table)
        self.while_reading()
        return found

    async def take(self) -> int | None:
        taken = await self.inbox.take()
        if taken is None:
            return None
        self.tail.take(taken.id)
        return taken.id


def test_notifications_are_taken_in_their_order_with_one_look() -> None:
    async def scenario() -> None:
        desk = Desk(3, 5, 8)
        assert [await desk.take() for _ in range(3)] == [3, 5, 8]
        assert desk.done == ["read [3, 5, 8]"]

    asyncio.run(scenario())


def test_what_was_taken_is_deleted_for_good_before_the_next_look() -> None:
    async def scenario() -> None:
        desk = Desk(3, 5)
        assert [await desk.take() for _ in range(3)] == [3, 5, None]
        desk.table.append(notification(4))
        assert await desk.take() == 4
        assert desk.done == ["read [3, 5]", "delete [3, 5]", "read []", "read [4]"]

    asyncio.run(scenario())


def test_a_look_at_an_empty_table_finds_nothing() -> None:
    async def scenario() -> None:
        desk = Desk()
        assert await desk.take() is None
        assert await desk.take() is None
        assert desk.done == ["read []", "read []"]

    asyncio.run(scenario())


# -- waiting ---------------------------------------------------------------------------------------------------------
async def returns_at_once(inbox: Inbox) -> bool:
    """True when waiting did not have to wait."""
    waiting = asyncio.create_task(inbox.wait(60))
    for _ in range(5):
        await asyncio.sleep(0)
    returned = waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return returned


def test_a_hint_ends_the_wait() -> None:
    async def scenario() -> None:
        desk = Desk()
        await desk.take()
        waiting = asyncio.create_task(desk.inbox.wait(60))
        await asyncio.sleep(0)
        assert desk.inbox.waiting
        desk.inbox.hint()
        async with asyncio.timeout(5):
            await waiting
        assert not desk.inbox.waiting

    asyncio.run(scenario())


def test_a_hint_that_comes_before_the_wait_is_not_lost() -> None:
    async def scenario() -> None:
        desk = Desk()
        await desk.take()
        desk.inbox.hint()
        assert await returns_at_once(desk.inbox)

    asyncio.run(scenario())


def test_a_hint_that_comes_during_the_look_is_not_lost() -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.while_reading = desk.inbox.hint  # too late to be in what is read
        assert await desk.take() is None
        assert await returns_at_once(desk.inbox)

    asyncio.run(scenario())


def test_a_hint_from_before_the_look_is_used_up_by_it() -> None:
    async def scenario() -> None:
        desk = Desk()
        desk.inbox.hint()
        assert await desk.take() is None
        assert not await returns_at_once(desk.inbox)

    asyncio.run(scenario())


def test_a_wait_ends_with_its_timeout() -> None:
    async def scenario() -> None:
        desk = Desk()
        async with asyncio.timeout(10):
            await desk.inbox.wait(0.01)
            await desk.inbox.wait(0)
            await desk.inbox.wait(-1)
        assert not desk.inbox.waiting

    asyncio.run(scenario())


def test_a_wait_that_is_cancelled_is_over() -> None:
    async def scenario() -> None:
        desk = Desk()
        assert not await returns_at_once(desk.inbox)
        assert not desk.inbox.waiting

    asyncio.run(scenario())


# -- faults ----------------------------------------------------------------------------------------------------------
def test_nothing_is_looked_at_once_the_lease_is_over() -> None:
    async def scenario() -> None:
        desk = Desk(3)
        desk.tail.break_off(lost_lease())
        with pytest.raises(Fenced):
            await desk.take()
        assert desk.done == []

    asyncio.run(scenario())


def test_a_look_that_fails_is_not_an_empty_table() -> None:
    async def scenario() -> None:
        desk = Desk(3)

        def fail() -> None:
            raise JournalUnavailable("no answer")

        desk.while_reading = fail
        with pytest.raises(JournalUnavailable):
            await desk.take()
        desk.while_reading = lambda: None
        assert await desk.take() == 3

    asyncio.run(scenario())
