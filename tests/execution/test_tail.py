"""A tail holds what is not durable yet, in order, and tells those who wait for it the truth."""

from __future__ import annotations

import asyncio

import pytest

from durable.execution import tail as tail_module
from durable.execution.tail import Tail, lost_lease
from durable.journal.faults import Fenced, JournalUnavailable
from durable.journal.part import Message, TaskChange
from durable.model import Event, TaskState


class Told:
    """A writer that only remembers what it is told."""

    def __init__(self) -> None:
        self.noticed = 0
        self.hurried = 0

    def notice(self, tail: Tail) -> None:
        self.noticed += 1

    def hurry(self) -> None:
        self.hurried += 1


def event(index: int) -> Event:
    return Event(index, "label", "null")


def new_tail() -> tuple[Tail, Told]:
    writer = Told()
    return Tail(7, 3, writer), writer


async def waiting(tail: Tail) -> asyncio.Task[None]:
    """A task that waits for everything added so far."""
    task = asyncio.create_task(tail.durable())
    await asyncio.sleep(0)
    return task


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


# -- parts -----------------------------------------------------------------------------------------------------------
def test_a_part_holds_everything_in_the_order_in_which_it_was_added() -> None:
    tail, _ = new_tail()
    for index in range(3):
        tail.add_event(event(index), f"line {index}\n" if index != 1 else "")
    tail.add_log(9, "why")
    tail.send(Message(1, "a", "1"))
    tail.send(Message(2, "b", "2"))
    tail.take(40)
    tail.take(41)
    part = tail.cut()
    assert part is not None
    assert (part.task_id, part.lease) == (7, 3)
    assert part.events == [event(0), event(1), event(2)]
    assert part.logs == [(0, "line 0\n"), (2, "line 2\n"), (9, "why")]
    assert part.sent == [Message(1, "a", "1"), Message(2, "b", "2")]
    assert part.taken == [40, 41]
    assert part.change is None


def test_a_later_change_replaces_one_that_was_not_written() -> None:
    tail, _ = new_tail()
    tail.change(TaskChange(TaskState.ACTIVE, wakeup_at=5))
    tail.change(TaskChange(TaskState.COMPLETE))
    part = tail.cut()
    assert part is not None
    assert part.change == TaskChange(TaskState.COMPLETE)


def test_the_writer_is_told_once_per_part() -> None:
    tail, writer = new_tail()
    tail.add_event(event(0))
    tail.add_event(event(1))
    assert writer.noticed == 1
    tail.cut()
    assert tail.cut() is None
    tail.add_event(event(2))
    assert (writer.noticed, writer.hurried) == (2, 0)


def test_a_tail_is_full_at_its_bounds_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "MAX_TAIL_ENTRIES", 3)
    monkeypatch.setattr(tail_module, "MAX_TAIL_BYTES", 100)
    tail, _ = new_tail()
    seen = [tail.is_full]
    for index in range(3):
        tail.add_event(event(index))
        seen.append(tail.is_full)
    assert seen == [False, False, False, True]
    tail.cut()
    tail.add_event(Event(3, "l", "x" * 50), "y" * 49)
    seen = [tail.is_full]
    tail.send(Message(1, "", "z"))
    assert [*seen, tail.is_full] == [False, True]
    tail.cut()
    assert not tail.is_full


# -- the barrier -----------------------------------------------------------------------------------------------------
def test_there_is_nothing_to_wait_for_before_something_is_added() -> None:
    tail, writer = new_tail()
    asyncio.run(tail.durable())
    assert writer.hurried == 0


def test_waiting_lasts_until_everything_added_before_is_durable_and_no_longer() -> None:
    async def scenario() -> None:
        tail, writer = new_tail()
        tail.add_event(event(0))
        first = await waiting(tail)
        assert writer.hurried == 1
        upto_first = tail.added
        tail.cut()
        tail.add_event(event(1))
        second = await waiting(tail)
        await settle()
        assert not first.done()
        tail.committed(upto_first)
        await settle()
        assert first.done()
        assert not second.done(), "the second event is not durable"
        tail.committed(tail.added)
        await asyncio.gather(first, second)
        await tail.durable()

    asyncio.run(scenario())


def test_what_is_added_while_somebody_waits_does_not_prolong_the_wait() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        tail.add_event(event(0))
        wait = await waiting(tail)
        upto = tail.added
        tail.cut()
        for index in range(1, 50):
            tail.add_event(event(index))
        tail.committed(upto)
        async with asyncio.timeout(5):
            await wait

    asyncio.run(scenario())


def test_one_who_gives_up_waiting_does_not_disturb_the_others() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        tail.add_event(event(0))
        first, second = await waiting(tail), await waiting(tail)
        first.cancel()
        await settle()
        tail.committed(tail.added)
        await second
        assert first.cancelled()

    asyncio.run(scenario())


# -- the end of a lease ----------------------------------------------------------------------------------------------
def test_a_broken_tail_writes_nothing_more_and_says_why() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        tail.add_event(event(0))
        wait = await waiting(tail)
        tail.break_off(lost_lease())
        with pytest.raises(Fenced, match="the lease of the task is over"):
            await wait
        assert tail.cut() is None
        tail.add_event(event(1))
        assert tail.cut() is None
        with pytest.raises(Fenced):
            await tail.durable()

    asyncio.run(scenario())


def test_a_broken_tail_is_broken_even_if_all_of_it_was_durable() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        tail.add_event(event(0))
        tail.cut()
        tail.committed(tail.added)
        await tail.durable()
        tail.break_off(lost_lease())
        with pytest.raises(Fenced):
            await tail.durable()

    asyncio.run(scenario())


def test_a_guest_that_waits_for_nothing_is_told_that_its_tail_is_broken() -> None:
    tail, _ = new_tail()
    told: list[str] = []
    tail.on_broken = lambda: told.append("broken")
    tail.add_event(event(0))
    tail.break_off(lost_lease())
    assert told == ["broken"]


def test_a_guest_that_waits_for_its_tail_is_told_by_that_alone() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        told: list[str] = []
        tail.on_broken = lambda: told.append("broken")
        tail.add_event(event(0))
        wait = await waiting(tail)
        tail.break_off(lost_lease())
        with pytest.raises(Fenced):
            await wait
        assert told == []

    asyncio.run(scenario())


def test_the_first_reason_stays() -> None:
    async def scenario() -> None:
        tail, _ = new_tail()
        tail.break_off(JournalUnavailable("first"))
        tail.break_off(lost_lease())
        with pytest.raises(JournalUnavailable, match="first"):
            await tail.durable()

    asyncio.run(scenario())
