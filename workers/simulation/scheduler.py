"""Who goes on next: one callback, or one answer of the database that arrives, at a time, drawn by chance.

The database is real and answers when it likes. So after every callback the scheduler waits until the server has
nothing to do any more, but for statements that wait for a lock; only then is the next choice made, and it depends on
nothing but the seed. An answer lies there until it is drawn. Time stands still while anybody can go on, and then leaps
to the next timer.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import waiting

from durable.config import Config
from workers.simulation.database import BEGINNING, SimulatedDatabase
from workers.simulation.process import Process

_NEVER = float("inf")
_FIRST_COME = 0.75  # how often the callbacks of one process run in the order in which they were asked for
#: Seconds by which the clocks of two hosts differ.
_SKEW = 10_000.0


class _Inbox:
    """What the server has for a process. On the descriptors in `answered` an answer lies, on those in `waiting` one is
    to come from the session, None while it begins; `cancelled` maps sessions whose statement is being cancelled to the
    descriptor of who asks for it.
    """

    def __init__(self) -> None:
        self.answered: dict[int, None] = {}  # in the order in which they came
        self.waiting: dict[int, int | None] = {}
        self.cancelled: dict[int, int] = {}

    def expect(self, process: Process) -> None:
        """What the process reads from now."""
        readers = process.loop.readers
        self.answered = {descriptor: None for descriptor in self.answered if descriptor in readers}
        new = [descriptor for descriptor in readers if descriptor not in self.answered]
        sessions = process.connections.sessions() if new else {}
        self.waiting = {descriptor: sessions.get(descriptor) for descriptor in new}
        self.cancelled = process.connections.cancelled()

    def take(self, answered: set[int]) -> None:
        for descriptor in [one for one in self.waiting if one in answered]:
            del self.waiting[descriptor]
            self.answered[descriptor] = None


class Scheduler:
    """The processes of a run, in numbered slots, and its time. Errors that nobody in a process saw go into `wrong`."""

    def __init__(self, database: SimulatedDatabase, chance: random.Random, config: Config, slots: int) -> None:
        self._database = database
        self._chance = chance
        self._config = config
        self.slots: list[Process | None] = [None] * slots
        self.wrong: list[str] = []
        self.hints_lost = 0
        self.lock_waits = 0
        #: How likely it is that a hint is lost.
        self.deafness = 0.0
        #: Stands for all choices so far: two runs that differ in one have another number from there on.
        self.choices = 0
        self._processes = 0
        self._inboxes: dict[Process, _Inbox] = {}
        self._gone: set[int] = set()

    @property
    def running(self) -> list[Process]:
        return [process for process in self.slots if process is not None and process.runs]

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._now() / 1e6

    # -- processes ---------------------------------------------------------------------------------------------------
    def new_process(self, slot: int) -> Process:
        self._processes += 1
        process = Process(self._processes, self._database, self._now, _SKEW * self._processes, self.wrong.append)
        self.slots[slot] = process
        self._inboxes[process] = _Inbox()
        return process

    def bury(self, slot: int) -> None:
        """The process in this slot is gone, with everything that was in its memory."""
        process, self.slots[slot] = self.slots[slot], None
        assert process is not None
        del self._inboxes[process]
        self._gone |= process.connections.cut_all()
        process.loop.die()
        process.connections.forget()
        self.settle()

    def cut(self, process: Process) -> bool:
        """One of its connections breaks, rather one that waits for an answer. False when it has none."""
        sessions = list(process.connections.sessions())
        if not sessions:
            return False
        at_work = [descriptor for descriptor in sessions if descriptor in process.loop.readers]
        self._gone.add(process.connections.cut(self._chance.choice(at_work or sessions)))
        self.settle(process)
        return True

    def gone(self, session: int) -> None:
        """A session that is not of a process has been closed."""
        self._gone.add(session)
        self.settle()

    # -- what comes next ---------------------------------------------------------------------------------------------
    def step(self) -> Process | None:
        """Let one go on. None: nobody can, but hints may just have arrived, or time has to pass."""
        choices: list[tuple[Process, int | None, int]] = []
        for process in self.running:
            if runnable := process.loop.runnable:
                choices.append((process, None, runnable))
            choices += [(process, descriptor, 0) for descriptor in self._inboxes[process].answered]
        if not choices:
            return None
        process, descriptor, runnable = self._chance.choice(choices)
        if descriptor is None:
            in_order = runnable == 1 or self._chance.random() < _FIRST_COME
            process.loop.run_one(0 if in_order else self._chance.randrange(runnable))
        else:
            del self._inboxes[process].answered[descriptor]
            process.loop.deliver(descriptor)
        made = f"{process.number} {descriptor is None} {runnable} {len(choices)}"
        self.choices = zlib.crc32(made.encode(), self.choices)
        self.settle(process)
        return process

    def bring_hints(self) -> bool:
        """What was notified arrives, or is lost; whether anything did. Later ones only mean later looks."""
        arrived = False
        for hint in self._database.hints():
            for process in self.running:
                if self._chance.random() < self.deafness:
                    self.hints_lost += 1
                else:
                    process.loop.call_soon(process.hints.arrive, hint)
                    arrived = True
        return arrived

    def wait_for_timer(self) -> bool:
        """Time passes until a timer is due. False when nobody has one."""
        microseconds = min((process.until_timer() for process in self.running), default=_NEVER)
        if microseconds == _NEVER:
            return False
        self.pass_time(int(microseconds))
        return True

    def pass_time(self, microseconds: int) -> None:
        self._database.set_time(self._database.now + microseconds)
        for process in self.slots:
            if process is not None and process.stopped_at is not None:
                self._end_idle_sessions(process, (self._now() - process.stopped_at) / 1e6)

    def settle(self, moved: Process | None = None) -> None:
        """Wait until the server is done with what it was told, or waits for a lock itself. Only `moved` has told it
        anything since the last time.
        """
        if moved is not None:
            self._look_into(moved)
        inboxes = self._inboxes.values()
        waiting = {descriptor: session for inbox in inboxes for descriptor, session in inbox.waiting.items()}
        if not waiting and not self._gone:
            return
        cancelled = {session: who_asks for inbox in inboxes for session, who_asks in inbox.cancelled.items()}
        answered = self._database.settle(waiting, cancelled, self._gone)
        self.lock_waits += len(waiting) - len(answered)
        for inbox in inboxes:
            inbox.take(answered)

    # -- inside ------------------------------------------------------------------------------------------------------
    def _look_into(self, process: Process) -> None:
        _write_all(process)
        self._stop_waiting_at_closed(process)
        self._gone |= process.connections.closed()
        self._inboxes[process].expect(process)

    def _stop_waiting_at_closed(self, process: Process) -> None:
        """Nobody may close a connection under a statement: psycopg would go on with memory that libpq has freed."""
        for descriptor in [descriptor for descriptor in process.loop.readers if not _is_open(descriptor)]:
            process.loop.remove_reader(descriptor)
            self.wrong.append(f"{process} closed a connection on which a statement waits for its answer")

    def _now(self) -> int:
        return self._database.now - BEGINNING

    def _end_idle_sessions(self, process: Process, seconds: float) -> None:
        """The timeouts of sessions whose process is stopped within a transaction: they count in real time."""
        own, guests = self._config.idle_in_transaction_timeout, self._config.heartbeat_timeout * 0.8
        for is_guest, limit in ((False, own), (True, guests)):
            if seconds >= limit:
                pids = list(process.connections.sessions().values())
                ended = self._database.execute("end_idle", {"pids": pids, "guests": is_guest})
                if ended:
                    self._gone |= {row[0] for row in ended}
                    self.settle()


def _write_all(process: Process) -> None:
    """A socket that somebody wants to write to takes it at once: only a new connection ever asks."""
    while process.loop.writers:
        descriptor = next(iter(process.loop.writers))
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.poll(5000)
        process.loop.allow_writing(descriptor)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@contextmanager
def nothing_by_real_time() -> Iterator[None]:
    """psycopg follows the seed, too: it counts by the clock of the process that it is in, never gives way to others for
    having been busy, and does not look whether an answer is there already while it writes.
    """
    kept = {name: getattr(waiting, name) for name in ("MAX_BUSY_TIME", "monotonic", "_ready")}
    waiting.MAX_BUSY_TIME = _NEVER
    waiting.monotonic = _time_of_process  # type: ignore[attr-defined]
    waiting._ready = lambda descriptor, wanted: wanted & waiting.READY_W
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(waiting, name, value)


def _time_of_process() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # a connection of the simulation itself
        return time.monotonic()
