"""One run of one task without a guest: a test calls the host functions itself and sees what they record."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from wasmtime import component as wc

from durable.config import Config
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.host.functions import host_functions
from durable.journal.part import JournalPart, Message, TaskChange
from durable.model import ClaimedTask, Event, Notification, TaskState
from durable.timing import DatabaseClock
from durable.wasm.engine import new_engine
from durable.wasm.linker import HostFunction
from durable.wasm.world import World, world_bytes


@cache
def host() -> tuple[World, dict[str, dict[str, HostFunction]]]:
    """The world and the functions that every worker offers to its guests."""
    engine = new_engine()
    world = World(wc.Component(engine, world_bytes()), engine)
    return world, host_functions(world)


SECOND = 1_000_000_000
#: 2026-01-02T03:04:05.678901Z, as the database tells it, and some nanoseconds that only the host's clock knows.
NOW = 1_767_323_045_678_901_234


class HostTime:
    """The host's monotonic clock, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.nanoseconds = 0
        self.clock = DatabaseClock(lambda: self.nanoseconds)
        self.set(NOW)

    def set(self, database_time: int) -> None:
        """The database's time is this from now on, in nanoseconds since the Unix epoch."""
        self.clock.learn(database_time // SECOND, self.nanoseconds)
        self.nanoseconds += database_time - self.clock.now()

    def advance(self, seconds: float) -> None:
        self.nanoseconds += int(seconds * SECOND)


class OutsideTouched(AssertionError):
    """A replayed call did something that was not to be done again."""


@dataclass
class Outside:
    """The database beside the task's own journal. A replay must not ask it for anything but the journal."""

    journal: Sequence[Event] = ()
    page: int = 1000
    notifications_waiting: list[Notification] = field(default_factory=list)
    states: dict[int, TaskState] = field(default_factory=dict)
    large_data: str = ""
    closed: bool = False

    async def events(self, task_id: int, first: int) -> list[Event]:
        return list(self.journal[first : first + self.page])

    async def notifications(self, task_id: int) -> list[Notification]:
        self._touch()
        return list(self.notifications_waiting)

    async def task_state(self, task_id: int) -> TaskState | None:
        self._touch()
        return self.states.get(task_id)

    async def task_data(self, task_id: int, limit: int) -> str | None:
        return self.large_data if len(self.large_data) <= limit else None

    def _touch(self) -> None:
        if self.closed:
            raise OutsideTouched


class Written:
    """A writer that makes a tail durable as soon as somebody waits for it."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self.tail: Tail | None = None
        self.parts: list[JournalPart] = []

    def notice(self, tail: Tail) -> None:
        self.tail = tail

    def hurry(self) -> None:
        assert self.tail is not None
        part = self.tail.cut()
        if part is not None:
            self.parts.append(part)
            waiting = self._outside.notifications_waiting
            waiting[:] = [one for one in waiting if one.id not in part.taken]
        self.tail.committed(self.tail.added)


class Stage:
    """A run with everything around it. `journal` is what an earlier run recorded."""

    def __init__(
        self, journal: Sequence[Event] = (), *, task_data: str | None = '{"n": 1.10}',
        wait: tuple[int, int] | None = None, page: int = 1000, **config: Any,
    ) -> None:  # fmt: skip
        wait_index, wait_until = wait or (None, None)
        self.task = ClaimedTask(
            7,
            "the-task",
            task_data,
            datetime(2026, 1, 1, 12, 0, 0, 250_001, UTC),
            1,
            1,
            len(journal),
            wait_index,
            wait_until,
        )
        self.time = HostTime()
        self.outside = Outside(journal, page)
        self._written = Written(self.outside)
        self.run = Run(self.task, Config(**config), Tail(7, 1, self._written), self.time.clock, self.outside)

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a host function, such as `wasi:io/poll.poll`, as the linker does."""
        interface, _, name = function.partition(".")
        answer = host()[1][interface][name](self.run, *arguments)
        return await answer if inspect.iscoroutine(answer) else answer

    @property
    def parts(self) -> list[JournalPart]:
        """Everything that the run has recorded so far, durable or not."""
        if self._written.tail is not None:
            self._written.hurry()
        return self._written.parts

    @property
    def events(self) -> list[Event]:
        return [event for part in self.parts for event in part.events]

    @property
    def recorded(self) -> list[tuple[str, str]]:
        return [(event.label, event.value) for event in self.events]

    @property
    def logs(self) -> list[tuple[int, str]]:
        return [log for part in self.parts for log in part.logs]

    @property
    def sent(self) -> list[Message]:
        return [message for part in self.parts for message in part.sent]

    @property
    def taken(self) -> list[int]:
        return [number for part in self.parts for number in part.taken]

    @property
    def changes(self) -> list[TaskChange]:
        return [part.change for part in self.parts if part.change is not None]


def journal(*entries: tuple[str, str]) -> list[Event]:
    """A journal of labels and values."""
    return [Event(index, label, value) for index, (label, value) in enumerate(entries)]
