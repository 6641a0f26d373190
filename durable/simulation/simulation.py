"""Workers, clients and a nemesis on one thread: every choice is drawn from one seed, every moment is reached by a move."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import select
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import waiting
from psycopg.rows import TupleRow

from durable.config import Config
from durable.errors import DatabaseUnavailable
from durable.execution.run import Run
from durable.journal.faults import JournalUnavailable
from durable.model import Culprit, TaskState
from durable.net.message import Request, Response
from durable.simulation.database import SimulatedDatabase
from durable.simulation.guest import LONGEST_WAIT, GuestPrograms, GuestRunner
from durable.simulation.invariants import Ledger, Snapshot, Violation, check
from durable.simulation.worker import Guests, Process, SimulatedWorker
from workers.worker import Worker

_NEVER = float("inf")
_FIRST_COME = 0.75  # how often callbacks of a process run in their order
_CHATTY = 0.01  # how often a client sends a notification between two steps of the processes
#: Callbacks and answers after which a simulation that only counts them has hung.
_MOST_STEPS = 200_000
_LOST = logging.getLogger("durable.simulation")


class Simulation:
    """One run. `chance` is where every choice comes from, `workers` the number of processes.

    The methods under "moves" are what can happen; after each `judge` says whether all promises hold.
    """

    def __init__(self, database: SimulatedDatabase, chance: random.Random, *, workers: int = 3, steps: int = 8) -> None:
        self.chance = chance
        self.database = database
        self.ledger = Ledger()
        self.count: Counter[str] = Counter()
        self.trace: list[str] = []
        self._config = Config(
            database_url=database.url, poll_interval=5.0, suspend_timeout=6.0, guest_sql_connections=8
        )
        self._steps = steps
        self._slots: list[Process | None] = [None] * workers
        self._numbers = 0
        self._current: Process | None = None
        self._dying: Culprit | None = None
        self._deadly = 0.0  # how likely it is that a guest kills its process, each time it goes on
        self._deaf = 0.0  # how likely it is that a hint is lost
        self._answered: dict[Process, dict[int, None]] = {}
        self._gone: set[int] = set()
        self._senders: list[tuple[str, int, int, psycopg.Connection[TupleRow]]] = []
        self._sender_numbers = 0
        self._choices = 0
        self._snapshot = Snapshot()
        self._broken: list[str] = []
        database.begin()
        self._program = int(database.execute("new_program")[0][0])

    # -- moves -------------------------------------------------------------------------------------------------------
    def launch(self) -> None:
        data = {"steps": self.chance.randint(3, self._steps), "salt": self.chance.randrange(2**32)}
        self.count["tasks"] += 1
        name = f"task {self.count['tasks']}"
        self.database.execute("launch", {"name": name, "program": self._program, "data": json.dumps(data)})
        self._tell(f"a client launches {name}: {data['steps']} steps")

    def notify(self, task_id: int, times: int = 1) -> None:
        """A client sends notifications."""
        done = self.ledger.sent.get(("client", task_id), 0)
        numbers = list(range(done + 1, done + times + 1))
        rows = self.database.execute(
            "notify", {"task": task_id, "event": "hello", "sender": "client", "numbers": numbers}
        )
        if rows:
            self.ledger.sent["client", task_id] = numbers[-1]
        self._tell(f"a client sends {times} to task {task_id}")

    def begin_notify(self, task_id: int) -> None:
        """An application sends a notification within a transaction that it keeps open."""
        self._sender_numbers += 1
        sender = f"application {self._sender_numbers}"
        connection = self.database.connect()
        from durable.store.queries import load

        parameters = {"task": task_id, "event": "hello", "sender": sender, "numbers": [1]}
        cursor = connection.execute(load("simulation")["notify"], parameters)  # type: ignore[arg-type]
        self._senders.append((sender, task_id, len(cursor.fetchall()), connection))
        self._tell(f"{sender} sends to task {task_id}, without commit")

    def end_notify(self, commit: bool) -> None:
        """The oldest open transaction of an application ends."""
        if not self._senders:
            return
        sender, task_id, sent, connection = self._senders.pop(0)
        pid = connection.info.backend_pid
        if commit:
            connection.commit()
            if sent:
                self.ledger.sent[sender, task_id] = 1
        connection.close()
        self._gone.add(pid)
        self._settle()
        self._tell(f"{sender} {'commits' if commit else 'rolls back'}")

    def work(self, steps: int) -> None:
        """The processes go on for so many callbacks and answers; time passes when there is nothing to do but wait."""
        for _ in range(steps):
            if self.chance.random() < _CHATTY and self.tasks:
                self.notify(self.chance.choice(self.tasks))
            if not self._step() and not self._wait_for_timer():
                break
        self._tell(f"work: {steps} steps")

    def pass_time(self, seconds: float) -> None:
        """Time passes, and nobody had a turn meanwhile."""
        self._move_time(self.database.now + int(seconds * 1_000_000))
        self._tell(f"{seconds:g} s pass")

    def start(self, slot: int) -> None:
        if self._slots[slot] is not None:
            return
        self._numbers += 1
        process = Process(
            self._numbers, lambda: self.database.now - _EPOCH, 10_000.0 * self._numbers, self._broken.append
        )
        process.start(SimulatedWorker(self._config, process, self._numbers, self._answer, self._guests))
        self._slots[slot] = process
        self._tell(f"slot {slot}: process {self._numbers} starts")

    def kill(self, slot: int, *, noticed: bool) -> None:
        """kill -9. Somebody else's worker is told of it when there is a supervisor who noticed."""
        process = self._slots[slot]
        if process is not None:
            self.count["kills"] += 1
            self.count["kills of a busy worker"] += _is_busy(process)
            self._bury(slot, process, [], noticed)
            self._tell(f"slot {slot}: {process} is killed{', and a sibling told' if noticed else ''}")

    def pause(self, slot: int, *, freezes: bool) -> None:
        """SIGSTOP. When it freezes, its clock stands still, too, as when the host sleeps."""
        process = self._slots[slot]
        if process is not None and not process.is_paused:
            process.is_paused, process.freezes, process.paused_at = True, freezes, self.database.now
            self.ledger.faults += 1
            self.count["pauses"] += 1
            self._tell(f"slot {slot}: {process} is stopped{' with its clock' if freezes else ''}")

    def unpause(self, slot: int) -> None:
        process = self._slots[slot]
        if process is not None and process.is_paused:
            process.is_paused = False
            if process.freezes:
                process.frozen += self.database.now - process.paused_at
            self._tell(f"slot {slot}: {process} goes on")

    def drain(self, slot: int) -> None:
        """SIGTERM."""
        process = self._slots[slot]
        if process is None or process.is_draining or process.worker is None or not process.worker_ids:
            return
        process.is_draining = True
        process.loop.create_task(_quietly(process.worker.drain))
        self.ledger.faults += 1
        self.count["drains"] += 1
        self._tell(f"slot {slot}: {process} is told to stop")

    def cut(self, slot: int) -> None:
        """A connection of this process breaks; whether its last statement took place only the server knows."""
        process = self._slots[slot]
        sessions = process.connections.sessions() if process is not None else {}
        if process is None or not sessions:
            return
        descriptor = self.chance.choice(list(sessions))
        is_waiting = descriptor in process.loop.readers
        self._gone.add(process.connections.cut(descriptor))
        self.ledger.faults += 1
        self.count["cuts"] += 1
        self._settle()
        self._tell(f"slot {slot}: a connection of {process} is cut{' in mid-statement' if is_waiting else ''}")

    def trouble(self, *, deaf: float, deadly: float) -> None:
        """How likely it is from here on that a hint is lost, and that a guest kills its process."""
        self._deaf, self._deadly = deaf, deadly

    # -- judging -----------------------------------------------------------------------------------------------------
    @property
    def workers(self) -> int:
        return len(self._slots)

    @property
    def busy(self) -> list[int]:
        """Slots whose worker has tasks in memory."""
        return [slot for slot, process in enumerate(self._slots) if process is not None and _is_busy(process)]

    @property
    def tasks(self) -> list[int]:
        return list(self._snapshot.tasks)

    def judge(self) -> None:
        """Raise Violation when a promise is broken."""
        before, self._snapshot = self._snapshot, Snapshot.of(self.database.snapshot())
        self.trace.extend(_difference(before, self._snapshot))
        if self._broken:
            raise Violation(self._broken[0])
        check(before, self._snapshot, self.ledger)

    def heal(self) -> None:
        """No more faults: everything has to come to its end in time. Raises Violation."""
        self.trouble(deaf=0.0, deadly=0.0)
        while self._senders:
            self.end_notify(commit=True)
        for slot in range(len(self._slots)):
            self.unpause(slot)
            self.start(slot)
        self.judge()
        for task_id, task in self._snapshot.tasks.items():
            if not TaskState(task["state"]).is_ended:
                self.notify(task_id, self._steps)
        self._come_to_an_end()
        self.judge()

    def close(self) -> None:
        """End all processes, as if killed, and let go of the database."""
        for slot, process in enumerate(self._slots):
            if process is not None:
                self._bury(slot, process, [], noticed=False)
        for *_, connection in self._senders:
            connection.close()
        self._senders.clear()

    def _come_to_an_end(self) -> None:
        config = self._config
        takeover = config.heartbeat_timeout + 2 * config.heartbeat_interval
        longest = takeover + (self._steps + 1) * (LONGEST_WAIT + 2 * config.poll_interval)
        deadline = self.database.now + int(longest * 1_000_000)
        for number in range(_MOST_STEPS):
            if self._step():
                continue
            if number % 7 == 0 and self._is_over():
                return
            self._restart_ended()
            if self.database.now > deadline:
                raise Violation(f"not at its end {longest:g} s after the last fault: {self._unfinished()}")
            self._wait_for_timer()
        raise Violation(f"not at its end after {_MOST_STEPS} steps: {self._unfinished()}")

    def _is_over(self) -> bool:
        self.judge()
        alive = {id_ for process in self._slots if process for id_ in process.worker_ids[-1:]}
        return not self._unfinished() and self._snapshot.workers <= alive and not self._snapshot.open_transactions

    def _unfinished(self) -> list[str]:
        tasks = self._snapshot.tasks.values()
        return [f"task {task['id']} is {task['state']}" for task in tasks if not TaskState(task["state"]).is_ended]

    def _restart_ended(self) -> None:
        for slot, process in enumerate(self._slots):
            if process is None:
                self.start(slot)

    # -- one step ----------------------------------------------------------------------------------------------------
    def _step(self) -> bool:
        """One callback, or one answer of the database that arrives. False: nothing can happen but time passing."""
        choices: list[tuple[int, Process, int | None, int]] = []
        for slot, process in enumerate(self._slots):
            if process is None or process.is_paused:
                continue
            runnable = process.loop.runnable
            if runnable:
                choices.append((slot, process, None, runnable))
            choices += [(slot, process, descriptor, 0) for descriptor in self._answered.get(process, ())]
        if not choices:
            return self._deliver_hints()
        slot, process, descriptor, runnable = self.chance.choice(choices)
        self._current = process
        if descriptor is None:
            in_order = runnable == 1 or self.chance.random() < _FIRST_COME
            process.loop.run_one(0 if in_order else self.chance.randrange(runnable))
        else:
            del self._answered[process][descriptor]
            process.loop.deliver(descriptor)
        self._current = None
        self._choices = zlib.crc32(f"{slot} {descriptor is None} {runnable} {len(choices)}".encode(), self._choices)
        self._settle()
        self._look_after(slot, process)
        return True

    def _look_after(self, slot: int, process: Process) -> None:
        if self._dying is not None:
            culprit, self._dying = self._dying, None
            self.count["deaths while computing"] += 1
            noticed = self.chance.random() < 0.8
            self._bury(slot, process, [culprit], noticed)
            self._tell(f"slot {slot}: {process} dies while it computes for task {culprit.task_id}")
        elif process.main is not None and process.main.done():
            error = process.main.exception()
            starting = not process.worker_ids and isinstance(error, (DatabaseUnavailable, JournalUnavailable))
            if error is not None and not starting:
                self._broken.append(f"{process} ended by itself: {error!r}")
            self._bury(slot, process, [], noticed=False)
            self._tell(f"slot {slot}: {process} has ended")

    def _settle(self) -> None:
        """Let the server finish what it was told: only then does the next choice depend on nothing but the seed."""
        waiting: dict[int, int | None] = {}
        owners: dict[int, Process] = {}
        for process in self._slots:
            if process is None:
                continue
            while process.loop.writers:
                self._write(process)
            known = self._answered.setdefault(process, {})
            self._answered[process] = known = {fd: None for fd in known if fd in process.loop.readers}
            new = [fd for fd in process.loop.readers if fd not in known]
            if new:
                sessions = process.connections.sessions()
                waiting.update({fd: sessions.get(fd) for fd in new})
                owners.update(dict.fromkeys(new, process))
        if waiting or self._gone:
            answered = self.database.settle(waiting, self._gone)
            if len(answered) < len(waiting):
                self.count["waits for a lock"] += 1
            for descriptor, process in owners.items():
                if descriptor in answered:
                    self._answered[process][descriptor] = None

    def _write(self, process: Process) -> None:
        descriptor = next(iter(process.loop.writers))
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        poll.poll(5000)
        process.loop.allow_writing(descriptor)

    def _deliver_hints(self) -> bool:
        """Hints arrive when everybody waits. Later ones only mean later looks."""
        arrived = False
        for hint in self.database.hints():
            for process in self._slots:
                if process is None or process.is_paused:
                    continue
                if self.chance.random() < self._deaf:
                    self.count["hints lost"] += 1
                    continue
                process.loop.call_soon(process.hints.arrive, hint)
                arrived = True
        return arrived

    def _wait_for_timer(self) -> bool:
        """Time passes until somebody's timer is due. False when nobody waits for one."""
        running = [process for process in self._slots if process is not None and not process.is_paused]
        microseconds = min((_until_timer(process) for process in running), default=_NEVER)
        if microseconds == _NEVER:
            return False
        self._move_time(self.database.now + max(int(microseconds), 1))
        return True

    def _move_time(self, now: int) -> None:
        self.database.set_time(now)
        for process in self._slots:
            if process is not None and process.is_paused:
                self._end_idle_sessions(process, (now - process.paused_at) / 1e6)

    def _end_idle_sessions(self, process: Process, seconds: float) -> None:
        for guests, limit in (
            (False, self._config.idle_in_transaction_timeout), (True, self._config.heartbeat_timeout * 0.8),
        ):  # fmt: skip
            if seconds >= limit:
                pids = list(process.connections.sessions().values())
                ended = self.database.execute("end_idle", {"pids": pids, "guests": guests})
                self._gone |= {row[0] for row in ended}
                if ended:
                    self._settle()

    # -- processes ---------------------------------------------------------------------------------------------------
    def _bury(self, slot: int, process: Process, culprits: list[Culprit], noticed: bool) -> None:
        self._slots[slot] = None
        self._answered.pop(process, None)
        self._gone |= process.connections.cut_all()
        process.loop.die()
        process.connections.forget()
        self.ledger.faults += 1
        self._settle()
        if noticed and process.worker_ids:
            self._tell_a_sibling(process, culprits)

    def _tell_a_sibling(self, dead: Process, culprits: list[Culprit]) -> None:
        able = [one for one in self._slots if one is not None and one.worker_ids and not one.is_draining]
        if not able:
            return
        for culprit in culprits:
            self.ledger.deaths[culprit.task_id] += 1
        sibling = self.chance.choice(able)
        assert sibling.worker is not None
        reclaim = partial(sibling.worker.reclaim, list(dead.worker_ids), culprits)
        sibling.loop.create_task(_quietly(reclaim))

    def _guests(self, worker: Worker) -> Guests:
        return GuestRunner(self), GuestPrograms()

    # -- what guests meet --------------------------------------------------------------------------------------------
    def random_bytes(self, count: int) -> bytes:
        return self.chance.randbytes(count)

    async def may_die(self, run: Run) -> None:
        if self._deadly and self.chance.random() < self._deadly:
            self._dying = Culprit(run.task.id, run.task.lease, "was killed by the simulation")
            await asyncio.get_running_loop().create_future()

    def waited(self, run: Run, index: int, deadline: int) -> None:
        early = deadline - self.database.now * 1000
        if early > 0:
            self._broken.append(f"the sleep of task {run.task.id} at event {index} ended {early} ns early")

    def _answer(self, request: Request) -> Response:
        task, index, digest = (int(part) for part in (request.body or b"").decode().split("/"))
        self.ledger.requests[task, index].append(digest)
        self.count["requests"] += 1
        return Response(200, [], b"")

    # -- the trace ---------------------------------------------------------------------------------------------------
    def _tell(self, what: str) -> None:
        seconds = (self.database.now - _EPOCH) / 1e6
        self.trace.append(f"{seconds:12.6f}  {what}  [{self._choices:08x}]")


_EPOCH = 1_893_456_000_000_000


def _until_timer(process: Process) -> float:
    """Microseconds until the next timer of a process."""
    when = process.loop.next_timer
    return _NEVER if when == _NEVER else -(-int(when * 1e9) // 1000) - process.monotonic_ns() // 1000 + 1


def _is_busy(process: Process) -> bool:
    return process.worker is not None and process.worker.task_count > 0


async def _quietly(statement: Callable[[], Awaitable[None]]) -> None:
    """As a supervisor asks: when it cannot be done now, the heartbeat tells the others later."""
    try:
        await statement()
    except (JournalUnavailable, psycopg.Error) as error:
        _LOST.debug("not done: %s", error)


def _difference(before: Snapshot, now: Snapshot) -> Iterator[str]:
    """What the last move changed, for who reads the trace of a run."""
    for task_id, task in now.tasks.items():
        old = before.tasks.get(task_id, {})
        changed = {key: value for key, value in task.items() if old.get(key) != value and key != "id"}
        if changed:
            yield f"{'':14}task {task_id}: " + ", ".join(f"{key} {value}" for key, value in changed.items())
        for event in now.journals[task_id][len(before.journals.get(task_id, [])) :]:
            yield f"{'':14}task {task_id}, event {event.index}: {event.label} {event.value[:80]}"


@contextmanager
def deterministic_psycopg(chance: random.Random) -> Iterator[Callable[[], None]]:
    """psycopg gives way to others when it has been busy for long, in real time; here nobody is kept waiting by it.

    What the engine itself draws without a source of its own (the jitter of sweeps) comes from the seed, too.
    """
    kept, state = waiting.MAX_BUSY_TIME, random.getstate()
    waiting.MAX_BUSY_TIME = _NEVER
    random.seed(chance.random())
    try:
        yield lambda: None
    finally:
        waiting.MAX_BUSY_TIME = kept
        random.setstate(state)
