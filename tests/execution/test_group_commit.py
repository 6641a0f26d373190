"""One writer for all tasks of a worker: together, in order, and never one task at the cost of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable.execution import group_commit
from durable.execution.group_commit import GroupCommit
from durable.execution.tail import Tail
from durable.journal.faults import Fenced, JournalUnavailable, Unstorable
from durable.journal.part import JournalPart
from durable.model import Event
from tests.execution.scripted_store import Gate, ScriptedStore, raising

NEVER = 3600.0  # a flush interval that does not pass


class Writing:
    """A running group commit over a scripted store, and the tails of some tasks."""

    def __init__(self, flush_interval: float) -> None:
        self.store = ScriptedStore()
        self.writer = GroupCommit(self.store, flush_interval)
        self._next: dict[int, int] = {}

    def tail(self, task: int) -> Tail:
        return Tail(task, 1, self.writer)

    def add(self, tail: Tail, count: int = 1) -> None:
        first = self._next.get(tail.task_id, 0)
        self._next[tail.task_id] = first + count
        for index in range(first, first + count):
            tail.add_event(Event(index, "label", "null"))


@asynccontextmanager
async def writing(flush_interval: float = NEVER) -> AsyncIterator[Writing]:
    scene = Writing(flush_interval)
    run = asyncio.create_task(scene.writer.run())
    try:
        async with asyncio.timeout(30):
            yield scene
            scene.writer.close()
            await run
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


def scenario(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Runs an async test."""

    def run() -> None:
        async def main() -> None:
            await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def outcome(tail: Tail) -> BaseException | None:
    try:
        await tail.durable()
    except Exception as error:
        return error
    return None


# -- together --------------------------------------------------------------------------------------------------------
@scenario
async def test_tails_that_wait_at_the_same_time_share_a_batch() -> None:
    async with writing() as scene:
        tails = [scene.tail(task) for task in range(20)]
        for tail in tails:
            scene.add(tail)
        await asyncio.gather(*[tail.durable() for tail in tails])
        assert scene.store.batches == [list(range(20))]


@scenario
async def test_what_is_added_during_a_commit_gathers_for_the_next() -> None:
    async with writing() as scene:
        gate = Gate()
        scene.store.scripts.append(gate)
        first, *others = [scene.tail(task) for task in range(10)]
        scene.add(first)
        waits = [asyncio.create_task(first.durable())]
        await gate.reached.wait()
        for tail in [*others, first]:
            scene.add(tail)
            waits.append(asyncio.create_task(tail.durable()))
            await asyncio.sleep(0)
        assert len(scene.store.batches) == 1, "the next batch did not wait for the answer to this one"
        gate.open()
        await asyncio.gather(*waits)
        assert scene.store.batches == [[0], [*range(1, 10), 0]]
        assert scene.store.indexes(0) == [0, 1]


@scenario
async def test_nobody_is_told_before_the_answer_is_there() -> None:
    async with writing() as scene:
        gate = Gate()
        scene.store.scripts.append(gate)
        tail = scene.tail(1)
        scene.add(tail, 5)
        wait = asyncio.create_task(tail.durable())
        await gate.reached.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not wait.done()
        gate.open()
        await wait
        assert scene.store.indexes(1) == [0, 1, 2, 3, 4]


@scenario
async def test_a_wait_ends_with_the_commit_that_holds_its_entries() -> None:
    async with writing() as scene:
        gates = [Gate(), Gate()]
        scene.store.scripts += gates
        tail = scene.tail(1)
        scene.add(tail)
        first = asyncio.create_task(tail.durable())
        await gates[0].reached.wait()
        scene.add(tail)
        second = asyncio.create_task(tail.durable())
        gates[0].open()
        await first
        await gates[1].reached.wait()
        assert not second.done()
        gates[1].open()
        await second


class Turn:
    ADD, WAIT, PAUSE = range(3)


@settings(max_examples=50, deadline=None)
@given(
    turns=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=60),
    pauses=st.lists(st.integers(0, 3), min_size=1, max_size=10),
)
def test_each_task_is_written_in_order_and_once_however_tasks_and_commits_interleave(
    turns: list[tuple[int, int]], pauses: list[int]
) -> None:
    async def main() -> None:
        async with writing(flush_interval=0.001) as scene:
            commits = 0

            async def slow(parts: Sequence[JournalPart]) -> None:
                nonlocal commits
                commits += 1
                for _ in range(pauses[commits % len(pauses)]):
                    await asyncio.sleep(0)

            scene.store.before_each = slow
            tails, added, waits = [scene.tail(task) for task in range(5)], [0] * 5, []

            async def wait_for(task: int, count: int) -> None:
                await tails[task].durable()
                assert len(scene.store.indexes(task)) >= count, "told before it was written"

            for task, turn in turns:
                if turn == Turn.ADD:
                    scene.add(tails[task])
                    added[task] += 1
                elif turn == Turn.WAIT:
                    waits.append(asyncio.create_task(wait_for(task, added[task])))
                else:
                    await asyncio.sleep(0)
            await asyncio.gather(*waits)
            await asyncio.gather(*[tail.durable() for tail in tails])
            assert [scene.store.indexes(task) for task in range(5)] == [list(range(count)) for count in added]

    asyncio.run(main())


# -- when ------------------------------------------------------------------------------------------------------------
@scenario
async def test_somebody_who_waits_does_not_wait_for_the_flush_interval() -> None:
    async with writing(flush_interval=NEVER) as scene:
        tail = scene.tail(1)
        for _ in range(3):
            scene.add(tail)
            async with asyncio.timeout(10):
                await tail.durable()
        assert len(scene.store.batches) == 3


@scenario
async def test_what_nobody_waits_for_is_written_after_the_flush_interval() -> None:
    async with writing(flush_interval=0.05) as scene:
        written, loop = asyncio.Event(), asyncio.get_running_loop()
        scene.store.before_each = lambda parts: written.set()
        began = loop.time()
        for task in range(5):
            scene.add(scene.tail(task))
        await written.wait()
        assert loop.time() - began >= 0.049
        assert scene.store.batches == [list(range(5))]


@scenario
async def test_an_idle_writer_writes_nothing() -> None:
    async with writing(flush_interval=0.001) as scene:
        await asyncio.sleep(0.02)
        assert scene.store.batches == []


# -- bounds ----------------------------------------------------------------------------------------------------------
@scenario
async def test_very_many_tasks_are_written_in_several_batches() -> None:
    async with writing() as scene:
        tails = [scene.tail(task) for task in range(group_commit.MAX_BATCH_TASKS * 2 + 1)]
        for tail in tails:
            scene.add(tail)
        await asyncio.gather(*[tail.durable() for tail in tails])
        assert [len(batch) for batch in scene.store.batches] == [500, 500, 1]


@scenario
async def test_very_many_events_are_written_in_several_batches() -> None:
    async with writing() as scene:
        tails = [scene.tail(task) for task in range(6)]
        for tail, count in zip(tails, [2000, 2000, 1000, 1, 6000, 1], strict=True):
            scene.add(tail, count)
        await asyncio.gather(*[tail.durable() for tail in tails])
        assert scene.store.batches == [[0, 1, 2], [3], [4], [5]]


@scenario
async def test_very_large_tails_are_written_in_several_batches() -> None:
    quarter = "x" * (group_commit.MAX_BATCH_BYTES // 4 - len("label"))
    async with writing() as scene:
        tails = [scene.tail(task) for task in range(6)]
        for tail, value in zip(tails, [quarter] * 4 + ["", quarter * 5], strict=True):
            tail.add_event(Event(0, "label", value))
        await asyncio.gather(*[tail.durable() for tail in tails])
        assert scene.store.batches == [[0, 1, 2, 3], [4], [5]]


# -- faults ----------------------------------------------------------------------------------------------------------
@scenario
async def test_a_task_whose_lease_is_over_is_fenced_and_the_others_are_written() -> None:
    async with writing() as scene:
        scene.store.held_back = {1}
        tails = [scene.tail(task) for task in range(3)]
        for tail in tails:
            scene.add(tail)
        outcomes = await asyncio.gather(*[outcome(tail) for tail in tails])
        assert [type(one) for one in outcomes] == [type(None), Fenced, type(None)]
        assert [scene.store.indexes(task) for task in range(3)] == [[0], [], [0]]


@scenario
async def test_an_unanswered_commit_breaks_the_tails_of_its_batch_and_no_others() -> None:
    async with writing() as scene:
        scene.store.scripts.append(raising(JournalUnavailable("the connection is lost")))
        lost, later = [scene.tail(task) for task in range(3)], scene.tail(3)
        for tail in lost:
            scene.add(tail)
        outcomes = await asyncio.gather(*[outcome(tail) for tail in lost])
        assert [str(one) for one in outcomes] == ["the connection is lost"] * 3
        scene.add(later)
        assert await outcome(later) is None
        assert scene.store.indexes(3) == [0]


@scenario
async def test_a_broken_tail_never_writes_again() -> None:
    async with writing(flush_interval=0.001) as scene:
        scene.store.scripts.append(raising(JournalUnavailable("lost")))
        broken, healthy = scene.tail(1), scene.tail(2)
        scene.add(broken)
        assert isinstance(await outcome(broken), JournalUnavailable)
        scene.add(broken)
        scene.add(healthy)
        assert isinstance(await outcome(broken), JournalUnavailable)
        await healthy.durable()
        assert scene.store.indexes(1) == []
        assert scene.store.batches == [[1], [2]], "the gap would be in the journal for ever"


@scenario
async def test_what_a_task_added_while_its_commit_failed_is_not_written() -> None:
    async with writing() as scene:
        gate = Gate()

        async def fail(parts: Sequence[JournalPart]) -> None:
            await gate(parts)
            raise JournalUnavailable("lost")

        scene.store.scripts.append(fail)
        tail, other = scene.tail(1), scene.tail(2)
        scene.add(tail)
        first = asyncio.create_task(outcome(tail))
        await gate.reached.wait()
        scene.add(tail)
        scene.add(other)
        second = asyncio.create_task(outcome(tail))
        await asyncio.sleep(0)
        gate.open()
        assert isinstance(await first, JournalUnavailable)
        assert isinstance(await second, JournalUnavailable)
        await other.durable()
        assert scene.store.batches == [[1], [2]]


def refuses(guilty: set[int]) -> Callable[[Sequence[JournalPart]], None]:
    def script(parts: Sequence[JournalPart]) -> None:
        if guilty & {part.task_id for part in parts}:
            raise Unstorable("a value is refused")

    return script


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 40), data=st.data())
def test_only_the_tasks_whose_entries_are_refused_fail(count: int, data: st.DataObject) -> None:
    guilty = data.draw(st.sets(st.integers(0, count - 1), max_size=3))

    async def main() -> None:
        async with writing() as scene:
            scene.store.before_each = refuses(guilty)
            tails = [scene.tail(task) for task in range(count)]
            for tail in tails:
                scene.add(tail)
            outcomes = await asyncio.gather(*[outcome(tail) for tail in tails])
            failed = {task for task, one in enumerate(outcomes) if isinstance(one, Unstorable)}
            assert failed == guilty
            for task in range(count):
                assert scene.store.indexes(task) == ([] if task in guilty else [0])

    asyncio.run(main())


@scenario
async def test_finding_the_guilty_one_of_many_takes_few_statements() -> None:
    async with writing() as scene:
        scene.store.before_each = refuses({77})
        tails = [scene.tail(task) for task in range(256)]
        for tail in tails:
            scene.add(tail)
        await asyncio.gather(*[outcome(tail) for tail in tails])
        assert len(scene.store.batches) == 1 + 2 * 8  # halves, eight times


@scenario
async def test_a_lost_connection_while_the_guilty_one_is_looked_for_breaks_only_what_was_asked() -> None:
    async with writing() as scene:
        scene.store.scripts += [raising(Unstorable("refused")), raising(JournalUnavailable("lost"))]
        tails = [scene.tail(task) for task in range(4)]
        for tail in tails:
            scene.add(tail)
        outcomes = await asyncio.gather(*[outcome(tail) for tail in tails])
        assert [type(one) for one in outcomes] == [JournalUnavailable] * 2 + [type(None)] * 2
        assert [scene.store.indexes(task) for task in range(4)] == [[], [], [0], [0]]


class Bug(Exception):
    pass


def test_nobody_waits_for_a_writer_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_BATCH_TASKS", 4)

    async def main() -> None:
        scene = Writing(NEVER)
        scene.store.scripts += [refuses(set()), raising(Unstorable("refused")), raising(Bug())]
        tails = [scene.tail(task) for task in range(16)]
        for tail in tails:
            scene.add(tail)
        waits = [asyncio.create_task(outcome(tail)) for tail in tails]
        with pytest.raises(Bug):
            await scene.writer.run()
        async with asyncio.timeout(10):
            outcomes = await asyncio.gather(*waits)
        assert outcomes[:4] == [None] * 4
        for one in outcomes[4:]:
            assert isinstance(one, JournalUnavailable)
            assert "the journal writer stopped" in str(one)

    asyncio.run(main())


def test_nobody_waits_for_a_writer_that_is_cancelled() -> None:
    async def main() -> None:
        scene, gate = Writing(NEVER), Gate()
        scene.store.scripts.append(gate)
        tail = scene.tail(1)
        scene.add(tail)
        wait, run = asyncio.create_task(outcome(tail)), asyncio.create_task(scene.writer.run())
        await gate.reached.wait()
        run.cancel()
        async with asyncio.timeout(10):
            assert isinstance(await wait, JournalUnavailable)
        await asyncio.gather(run, return_exceptions=True)

    asyncio.run(main())


# -- the end ---------------------------------------------------------------------------------------------------------
@scenario
async def test_closing_writes_what_there_is_and_returns() -> None:
    scene = Writing(NEVER)
    run = asyncio.create_task(scene.writer.run())
    tails = [scene.tail(task) for task in range(5)]
    for tail in tails:
        scene.add(tail, 3)
    await asyncio.sleep(0)
    scene.writer.close()
    async with asyncio.timeout(10):
        await run
    assert [scene.store.indexes(task) for task in range(5)] == [[0, 1, 2]] * 5


@scenario
async def test_closing_with_nothing_to_write_returns() -> None:
    scene = Writing(NEVER)
    run = asyncio.create_task(scene.writer.run())
    await asyncio.sleep(0)
    scene.writer.close()
    async with asyncio.timeout(10):
        await run
    assert scene.store.batches == []


@scenario
async def test_closing_during_a_commit_writes_also_what_came_meanwhile() -> None:
    scene, gate = Writing(0.001), Gate()
    scene.store.scripts.append(gate)
    run = asyncio.create_task(scene.writer.run())
    tail = scene.tail(1)
    scene.add(tail)
    await gate.reached.wait()
    scene.add(tail)
    scene.writer.close()
    gate.open()
    async with asyncio.timeout(10):
        await run
    assert scene.store.indexes(1) == [0, 1]
