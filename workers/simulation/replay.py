"""A whole journal replayed, by a run that may not do anything itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any

from durable.config import Config
from durable.execution.outcome import Outcome
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.journal import labels
from durable.journal.log_text import cut_log
from durable.model import ClaimedTask, Event, Notification, TaskState
from durable.timing import DatabaseClock
from workers.simulation.loop import SimulatedLoop
from workers.simulation.snapshot import Snapshot, TaskRow

#: Runs a task to its end.
Play = Callable[[Run], Coroutine[Any, Any, Outcome]]


class _MoreThanRecorded(BaseException):
    """A replay asked for something that its journal does not have. Nothing on the way may take it for a failure."""


def replay_problems(now: Snapshot, task: TaskRow, config: Config, play: tuple[Play, str]) -> Iterator[str]:
    """How the replay of a task that has ended differs from what the database has of it; nothing when it does not.

    `play` is what runs it, and the task's data.
    """
    runs, data = play
    world = _ClosedWorld(now, task)
    claimed = ClaimedTask(task.id, f"task {task.id}", data, _CREATED, 1, task.lease, len(world.journal), None, None)
    run = _PrintingRun(claimed, config, Tail(task.id, task.lease, world), DatabaseClock(lambda: 0), world)
    try:
        outcome = _finish(runs(run))
    except _MoreThanRecorded as error:
        yield f"{task}, replayed over its whole journal, {error} at event {run.cursor.index}"
        return
    if outcome.state is not task.state:
        yield f"{task} is {task.state}, and its replay ended as {outcome.state}: {outcome.reason}"
    yield from _of_the_log(now, task, config, run.printed)


def _of_the_log(now: Snapshot, task: TaskRow, config: Config, printed: dict[int, str]) -> Iterator[str]:
    for event in now.journals[task.id]:
        if event.label != labels.WRITE:
            continue
        first = now.logs[task.id].get(event.index, "")
        again = cut_log(printed.get(event.index, ""), config.max_log_bytes_per_transaction)
        if again != first:
            yield (
                f"{task} printed {first!r} at event {event.index}, and {again!r} when it was replayed\n"
                "what the body of a transaction does to variables outside of it is missing in a replay"
            )


def _finish(playing: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Nothing is waited for in a replay, because all answers are there; a guest that computes for long gives way."""
    loop = SimulatedLoop(lambda: 0.0, lambda _: None)
    asyncio._set_running_loop(loop.loop)
    try:
        while playing.send(None) is None:
            pass
        raise _MoreThanRecorded("waited")
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    finally:
        asyncio._set_running_loop(None)
        playing.close()
        loop.die()


_CREATED = datetime(2030, 1, 1, tzinfo=UTC)


class _PrintingRun(Run):
    """Keeps what was printed, by the index of the event that it belongs to."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.printed: dict[int, str] = {}

    def decode_output(self, stream: str, data: bytes) -> str:
        text = super().decode_output(stream, data)
        self.printed[self.cursor.index] = self.printed.get(self.cursor.index, "") + text
        return text


class _ClosedWorld:
    """The journal is there to be read; everything else must not be touched."""

    def __init__(self, now: Snapshot, task: TaskRow) -> None:
        self.journal = [Event(event.index, event.label, event.value) for event in now.journals[task.id]]

    async def events(self, task_id: int, first: int) -> list[Event]:
        return self.journal[first:]

    async def notifications(self, task_id: int) -> list[Notification]:
        raise _MoreThanRecorded("looked for notifications")

    async def task_state(self, task_id: int) -> TaskState | None:
        raise _MoreThanRecorded("sent a notification")

    async def task_data(self, task_id: int, limit: int) -> str | None:
        raise AssertionError("a replay is given its data")

    def notice(self, tail: Tail) -> None:
        """A task that failed tells what its last transaction printed: that is no event."""

    def hurry(self) -> None:
        raise _MoreThanRecorded("began something that is seen outside")
