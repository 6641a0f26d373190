"""A database, a clock and an outside world in memory, in which a process can die at any moment.

The run, the tail, the cursor and the host functions are the real ones. Everything that is not durable is lost with the
process; what the outside has seen stays seen.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

from durable.config import Config
from durable.execution.http import GuestHttp
from durable.execution.outcome import Suspend
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.journal.part import JournalPart, Message, TaskChange
from durable.model import ClaimedTask, Event, Notification, TaskState
from durable.net.client import Client
from durable.net.message import Request, Response
from durable.timing import DatabaseClock
from tests.replay.programs import Guest, Program, play

TASK = 7
#: Other tasks, as `notify` finds them; 3 does not exist.
OTHERS = {1: TaskState.READY, 2: TaskState.COMPLETE}
_BASE = 1_767_323_045_000_000_000
_MILLISECOND = 1_000_000
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)
#: Every sleep is a long one: nothing here waits in real time.
_CONFIG = Config(suspend_timeout=0.0)


class Crash(BaseException):
    """The process is gone. Nothing in it may catch this."""


@dataclass
class World:
    """`varied` answers differ from run to run, as real ones do; otherwise they follow from the index alone."""

    program: Program
    chance: random.Random
    varied: bool
    page: int = 1000
    journal: list[Event] = field(default_factory=list)
    logs: list[tuple[int, str]] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    requests: list[tuple[int, str]] = field(default_factory=list)
    inbox: list[Notification] = field(default_factory=list)
    arrived: int = 0
    change: TaskChange = field(default_factory=lambda: TaskChange(TaskState.READY))
    runs: int = 0
    crashes: int = 0
    knows: int = 0  # the digest of the run that came to the end
    _dies_in: int = -1
    _woken: tuple[int, int] = (_BASE, 0)  # when it was last woken, and the length of its journal then
    _run: Run | None = None

    # -- a task from its launch to its end ----------------------------------------------------------------------------
    async def finish(self, crashes: int) -> World:
        """Run the program until it is over, with that many deaths on the way."""
        for _ in range(self.chance.randrange(3)):
            self._arrive()
        while self.change.state is not TaskState.COMPLETE:
            assert self.runs < 1000, "the task does not come to its end"
            self._wake()
            self._dies_in = self.chance.randrange(1, 25) if self.crashes < crashes else -1
            try:
                await self._run_once()
            except Crash:
                self.crashes += 1
        return self

    async def replay(self) -> Guest:
        """Run the program once more over its whole journal, with an outside that must not be touched."""
        closed = World(self.program, self.chance, self.varied, self.page, self.journal)
        closed._run = run = closed._new_run()
        return await play(closed.program, run, lambda: None)

    async def _run_once(self) -> None:
        self.runs += 1
        self._run = run = self._new_run()
        try:
            self.knows = (await play(self.program, run, self._between_calls)).digest
            change = TaskChange(TaskState.COMPLETE)
        except Suspend as suspended:
            change = suspended.change
        run.tail.change(change)
        await run.tail.durable()

    def _new_run(self) -> Run:
        self._run = None
        clock = DatabaseClock(self._time)
        clock.learn(0, clock.monotonic())
        change = self.change
        task = ClaimedTask(
            TASK, "t", "null", _CREATED, 1, self.runs, len(self.journal), change.wait_index, change.wait_until
        )
        tail = Tail(TASK, self.runs, self)
        http = GuestHttp(cast(Client, self), lambda: True)
        return Run(task, _CONFIG, tail, clock, self, http=http)

    def _wake(self) -> None:
        """What makes a suspended task go on: its time has come, or somebody writes to it."""
        if self.change.state is not TaskState.SUSPENDED:
            return
        if self.change.wakeup_at is None:
            self._arrive()
        else:
            self._woken = (max(self._time(), self.change.wakeup_at * 1000), len(self.journal))
        self.change = replace(self.change, state=TaskState.ACTIVE)

    def _arrive(self) -> None:
        self.arrived += 1
        self.inbox.append(Notification(self.arrived, _CREATED, "hello", f"[{self.arrived}, 1.10]"))

    # -- dying --------------------------------------------------------------------------------------------------------
    def _between_calls(self) -> None:
        self._risk()
        if self.chance.random() < 0.2:
            self.hurry()  # the flush interval is over

    def _risk(self) -> None:
        self._dies_in -= 1
        if self._dies_in == 0:
            raise Crash

    # -- the writer of the tail ---------------------------------------------------------------------------------------
    def notice(self, tail: Tail) -> None:
        pass

    def hurry(self) -> None:
        assert self._run is not None
        tail = self._run.tail
        part = tail.cut()
        if part is not None:
            self._risk()
            self._write(part)
            self._risk()
        tail.committed(tail.added)

    def _write(self, part: JournalPart) -> None:
        for event in part.events:
            assert event.index == len(self.journal), "the journal gets a gap, or an index twice"
            self.journal.append(event)
        self.logs += part.logs
        self.sent += part.sent
        self.taken += part.taken
        self.inbox = [one for one in self.inbox if one.id not in part.taken]
        self.change = part.change or self.change

    # -- the reader ---------------------------------------------------------------------------------------------------
    async def events(self, task_id: int, first: int) -> list[Event]:
        return self.journal[first : first + self.page]

    async def notifications(self, task_id: int) -> list[Notification]:
        return list(self.inbox)

    async def task_state(self, task_id: int) -> TaskState | None:
        return OTHERS.get(task_id)

    async def task_data(self, task_id: int, limit: int) -> str | None:
        raise AssertionError("it has its data")

    # -- what is outside ----------------------------------------------------------------------------------------------
    async def send(self, request: Request, permitted: Callable[[], bool]) -> Response:
        """A request leaves the process: from here on the outside knows what is in it."""
        assert self._run is not None
        self._risk()
        self.requests.append((self._run.cursor.index, (request.body or b"").decode()))
        self._risk()
        return Response(200, [], self.token_bytes(4))

    def _time(self) -> int:
        if self._run is None:
            return 0
        woken, index = self._woken
        drift = self.runs * 7_000 if self.varied else 0
        return woken + (self._run.cursor.index - index) * _MILLISECOND + drift

    # -- entropy, in the place of the module `secrets` ----------------------------------------------------------------
    def token_bytes(self, count: int) -> bytes:
        assert self._run is not None
        source = (self.program.salt, self._run.cursor.index, self.runs if self.varied else 0)
        return hashlib.shake_128(repr(source).encode()).digest(count)

    def randbits(self, bits: int) -> int:
        return int.from_bytes(self.token_bytes(bits // 8), "little")
