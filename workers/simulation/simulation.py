"""Workers, clients and a nemesis on one thread. What can happen is a method; what it did is in the trace."""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

import psycopg
from psycopg.rows import TupleRow

from durable.config import Config
from durable.errors import DatabaseUnavailable
from durable.journal.faults import JournalUnavailable
from durable.model import FAILURE_LOG_INDEX, Culprit, TaskState
from durable.net.message import Request, Response
from workers.simulation.database import SimulatedDatabase
from workers.simulation.invariants import Violation, problems
from workers.simulation.process import Process
from workers.simulation.replay import Play, replay_problems
from workers.simulation.scheduler import Scheduler
from workers.simulation.snapshot import Ledger, Snapshot
from workers.worker import Worker

_log = logging.getLogger("workers.simulation")
#: Steps after which a run that should come to its end is taken for one that never will.
MOST_STEPS = 200_000
_RESTS_BETWEEN_LOOKS = 3
#: Seconds that a timer may be late once there are no faults any more: some polls, and what broken connections cost.
_LATEST = 20.0


class Simulation(ABC):
    """One run: the moves below, `judge` after each of them, `heal` at the end, and `close` whatever happened.

    What the workers run is for a subclass to say. `chance` is where every choice comes from.
    """

    def __init__(
        self, database: SimulatedDatabase, chance: random.Random, config: Config, *, workers: int, began: float = 0.0
    ) -> None:
        database.begin(began)
        self.chance = chance
        self.ledger = Ledger()
        self.count: Counter[str] = Counter()
        self.trace: list[str] = []
        self.now = Snapshot()
        self._healed_at = 0
        self._database = database
        self._config = config
        self._scheduler = Scheduler(database, chance, config, workers)
        self._dying: Culprit | None = None
        self._senders: list[tuple[int, bool, psycopg.Connection[TupleRow], Callable[[], None]]] = []

    # -- what a subclass says ------------------------------------------------------------------------------------------
    @abstractmethod
    def new_worker(self, process: Process) -> Worker: ...

    @abstractmethod
    def launch(self) -> None:
        """A client launches a task. A move."""

    @abstractmethod
    def message(self, sender: str, task_id: int) -> tuple[str, str, Callable[[], None]] | None:
        """The next notification of a sender: event, data, and what to note once it is sent. None: nothing to say."""

    @abstractmethod
    def release(self, task_id: int) -> None:
        """Give a task what it may wait for: it has to come to its end."""

    @abstractmethod
    def problems(self, now: Snapshot) -> Iterator[str]:
        """What must not be, besides what no task may do."""

    @abstractmethod
    def answer(self, process: Process, request: Request) -> Response:
        """What an outside service says to this process."""

    @abstractmethod
    def replay(self, task_id: int) -> tuple[Play, str]:
        """What runs a task once more, and its data."""

    @abstractmethod
    def longest_rest(self) -> float:
        """Seconds within which everything has to come to its end, once there are no faults any more."""

    # -- moves of clients ----------------------------------------------------------------------------------------------
    def launch_task(self, program: int, data: str) -> None:
        self.count["tasks"] += 1
        name = f"task {self.count['tasks']}"
        self._database.execute("launch", {"name": name, "program": program, "data": data})
        self.tell(f"a client launches {name}: {data}")

    def notify(self, task_id: int, times: int = 1) -> None:
        """A client sends notifications."""
        for _ in range(times):
            message = self.message("client", task_id)
            if message is not None:
                event, data, note = message
                if self._database.execute("notify", {"task": task_id, "event": event, "data": [data]}):
                    note()
        self.tell(f"a client sends {times} to task {task_id}")

    def begin_notify(self, task_id: int) -> None:
        """An application sends a notification within a transaction that it keeps open."""
        self.count["open transactions"] += 1
        message = self.message(f"application {self.count['open transactions']}", task_id)
        if message is None:
            return
        event, data, note = message
        connection = self._database.connect()
        cursor = self._database.execute_on(connection, "notify", {"task": task_id, "event": event, "data": [data]})
        self._senders.append((task_id, bool(cursor.fetchall()), connection, note))
        self.tell(f"an application sends to task {task_id}, without commit")

    def end_notify(self, commit: bool) -> None:
        """The oldest open transaction of an application ends."""
        if not self._senders:
            return
        task_id, was_sent, connection, note = self._senders.pop(0)
        session = connection.info.backend_pid
        if commit:
            connection.commit()
        connection.close()
        if commit and was_sent:
            note()
        self._scheduler.gone(session)
        self.tell(f"the application that sends to task {task_id} {'commits' if commit else 'rolls back'}")

    def cancel(self, task_id: int) -> None:
        """An operator cancels a task; it may have ended already."""
        self.ledger.cancelled.add(task_id)
        self._operate("cancel", task_id)

    def pause(self, task_id: int) -> None:
        self._operate("pause", task_id)

    def resume(self, task_id: int) -> None:
        self._operate("resume", task_id)

    def _operate(self, what: str, task_id: int) -> None:
        parameters = {"task_id": task_id, "reason_index": FAILURE_LOG_INDEX}
        is_done = self._database.operate(what, parameters)
        self.ledger.operated.add(task_id)
        self.count[what] += is_done
        self.tell(f"an operator says {what} to task {task_id}{'' if is_done else ', whose row is locked'}")

    # -- moves of time and of workers ----------------------------------------------------------------------------------
    def work(self, steps: int) -> None:
        """The processes go on for so many steps; time passes when there is nothing to do but wait."""
        for _ in range(steps):
            if not self._step() and not self._scheduler.wait_for_timer():
                break
        self.tell(f"work: {steps} steps")

    def pass_time(self, seconds: float) -> None:
        """Time passes, and nobody had a turn meanwhile."""
        self._scheduler.pass_time(int(seconds * 1_000_000))
        self.tell(f"{seconds:g} s pass")

    def start(self, slot: int) -> None:
        if self._scheduler.slots[slot] is None:
            process = self._scheduler.new_process(slot)
            process.start(self.new_worker(process))
            self.tell(f"slot {slot}: {process} starts")

    def kill(self, slot: int, *, noticed: bool) -> None:
        """kill -9. With a supervisor who noticed, another worker is told to take the tasks back."""
        process = self._scheduler.slots[slot]
        if process is not None:
            self.count["kills"] += 1
            self.count["kills of a busy worker"] += process.is_busy
            self.tell(f"slot {slot}: {process} is killed{', and a sibling told' if noticed else ''}")
            self._bury(slot, process, [], noticed)

    def stop(self, slot: int, *, freezes: bool) -> None:
        """SIGSTOP. When it freezes, its clock stands still, too, as when the host sleeps."""
        process = self._scheduler.slots[slot]
        if process is not None and process.runs:
            process.stop(freezes)
            self.ledger.faults += 1
            self.count["stops"] += 1
            self.tell(f"slot {slot}: {process} is stopped{' with its clock' if freezes else ''}")

    def go_on(self, slot: int) -> None:
        """SIGCONT."""
        process = self._scheduler.slots[slot]
        if process is not None and not process.runs:
            process.go_on()
            self.tell(f"slot {slot}: {process} goes on")

    def drain(self, slot: int) -> None:
        """SIGTERM."""
        process = self._scheduler.slots[slot]
        if process is None or process.is_draining or process.worker is None or not process.worker_ids:
            return
        process.is_draining = True
        process.loop.create_task(_quietly(process.worker.drain))
        self.ledger.faults += 1
        self.count["drains"] += 1
        self.tell(f"slot {slot}: {process} is told to stop")

    def cut(self, slot: int) -> None:
        """A connection breaks; whether its last statement took place only the server knows."""
        process = self._scheduler.slots[slot]
        if process is not None and self._scheduler.cut(process):
            self.ledger.faults += 1
            self.count["cuts"] += 1
            self.tell(f"slot {slot}: a connection of {process} is cut")

    def lose_hints(self, how_often: float) -> None:
        """NOTIFY is lost that often, from here on: 0 is never, 1 is always."""
        self._scheduler.deafness = how_often
        self.tell(f"{how_often:.0%} of the hints are lost from here on")

    # -- judging -------------------------------------------------------------------------------------------------------
    @property
    def workers(self) -> int:
        return len(self._scheduler.slots)

    @property
    def busy(self) -> list[int]:
        """Slots whose worker has tasks in memory."""
        return [slot for slot, one in enumerate(self._scheduler.slots) if one is not None and one.is_busy]

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left that a fault could hit."""
        return False

    @property
    def tasks(self) -> Sequence[int]:
        return list(self.now.tasks)

    def judge(self) -> None:
        """Look at the database. Raises Violation when a promise is broken."""
        before, self.now = self.now, Snapshot.of(self._database.snapshot())
        self.trace.extend(_difference(before, self.now))
        for problem in (
            *self._scheduler.wrong, *problems(before, self.now, self.ledger), *self._buried_alive(before),
            *self.problems(self.now),
        ):  # fmt: skip
            raise Violation(problem)

    def _buried_alive(self, before: Snapshot) -> Iterator[str]:
        """Nobody takes the tasks of a worker whose heartbeat is young, unless it is known to be dead."""
        for process in self._scheduler.slots:
            if process is None or process.is_draining or not process.worker_ids:
                continue
            heartbeat = before.workers.get(process.worker_ids[-1])
            if heartbeat is None or process.worker_ids[-1] in self.now.workers:
                continue
            if (silence := (self.now.at - heartbeat) / 1e6) < self._config.heartbeat_timeout:
                yield f"{process} was presumed dead {silence:g} s after its heartbeat"

    def heal(self) -> None:
        """There are no faults any more: everything has to come to its end in time. Raises Violation."""
        self.lose_hints(0.0)
        while self._senders:
            self.end_notify(commit=True)
        for slot in range(self.workers):
            self.go_on(slot)
            self.start(slot)
        self.judge()
        self._healed_at = self.now.at
        self._go_on_until("at rest", self._is_at_rest)
        for task in self.now.unfinished:
            self.release(task.id)
        self._go_on_until("at its end", self._is_over)
        self.count["events"] = sum(len(journal) for journal in self.now.journals.values())
        self.count.update(task.state.value for task in self.now.tasks.values())
        self.count["leases"] = sum(task.lease for task in self.now.tasks.values())

    def check_replays(self) -> None:
        """Run each task that is complete once more over its journal. Raises Violation when it does anything else."""
        for task in self.now.tasks.values():
            if task.state in (TaskState.COMPLETE, TaskState.FAILED):
                for problem in replay_problems(self.now, task, self._config, self.replay(task.id)):
                    raise Violation(problem)

    def close(self) -> None:
        """Kill all processes and let go of the database."""
        for slot, process in enumerate(self._scheduler.slots):
            if process is not None:
                self._scheduler.bury(slot)
        for _, _, connection, _ in self._senders:
            connection.close()
        self._senders.clear()

    # -- inside --------------------------------------------------------------------------------------------------------
    def _step(self) -> bool:
        """False: nothing can happen but time passing."""
        process = self._scheduler.step()
        if process is None:
            return self._scheduler.bring_hints()
        self._look_after(process)
        return True

    def _look_after(self, process: Process) -> None:
        """What a supervisor does: a process that died or ended is buried, and what it had is taken back."""
        slot = self._scheduler.slots.index(process)
        if self._dying is not None:
            culprit, self._dying = self._dying, None
            self.count["deaths while computing"] += 1
            self.tell(f"slot {slot}: {process} dies while it computes for task {culprit.task_id}")
            self._bury(slot, process, [culprit], noticed=True)
        elif process.main is not None and process.main.done():
            error = process.main.exception()
            # One that cannot even begin is restarted; whatever else ends a worker is a fault of it.
            begins = not process.has_begun and isinstance(error, DatabaseUnavailable | JournalUnavailable)
            if error is not None and not begins:
                self._scheduler.wrong.append(f"{process} ended by itself: {error!r}")
            self.tell(f"slot {slot}: {process} has ended")
            self._bury(slot, process, [], noticed=False)

    def _bury(self, slot: int, process: Process, culprits: list[Culprit], noticed: bool) -> None:
        self._scheduler.bury(slot)
        self.ledger.faults += 1
        able = [one for one in self._scheduler.slots if one is not None and one.worker_ids and not one.is_draining]
        if not noticed or not process.worker_ids or not able:
            return
        for culprit in culprits:
            self.ledger.deaths[culprit.task_id] += 1
        sibling = self.chance.choice(able)
        assert sibling.worker is not None
        reclaim = partial(sibling.worker.reclaim, list(process.worker_ids), culprits)
        sibling.loop.create_task(_quietly(reclaim))

    def _go_on_until(self, what: str, is_reached: Callable[[], bool]) -> None:
        rest = self.longest_rest()
        deadline = self._scheduler.seconds + rest
        rests = 0
        for _ in range(MOST_STEPS):
            if self._step():
                continue
            rests += 1
            if rests % _RESTS_BETWEEN_LOOKS == 0 and is_reached():
                return
            for slot in range(self.workers):
                self.start(slot)
            if self._scheduler.seconds > deadline:
                raise Violation(f"not {what} {rest:g} s after the last fault: {self._unfinished()}")
            self._scheduler.wait_for_timer()
        raise Violation(f"not {what} after {MOST_STEPS} steps: {self._unfinished()}")

    def _is_at_rest(self) -> bool:
        """All that could go on have: who is left waits for a notification that has not been sent, or for an operator.

        What is sent after this wakes a task also when what was sent before did not.
        """
        self._judge_after_faults()
        return all(
            task.state is TaskState.PAUSED
            or (task.state is TaskState.SUSPENDED and task.wakeup_at is None and not self.now.pending[task.id])
            for task in self.now.unfinished
        )

    def _judge_after_faults(self) -> None:
        """Without faults nobody is late either."""
        self.judge()
        for task in self.now.unfinished:
            if task.state is TaskState.SUSPENDED and task.wakeup_at is not None:
                late = (self.now.at - max(task.wakeup_at, self._healed_at)) / 1e6
                if late > _LATEST:
                    raise Violation(f"{task} was to wake {late:g} s ago")

    def _is_over(self) -> bool:
        """All tasks are at their end, and of the dead nothing is left."""
        self._judge_after_faults()
        for task in self.now.unfinished:
            if task.state is TaskState.PAUSED:
                self.resume(task.id)
        alive = {id_ for process in self._scheduler.slots if process for id_ in process.worker_ids[-1:]}
        return not self.now.unfinished and self.now.workers.keys() <= alive and not self.now.open_transactions

    def _unfinished(self) -> str:
        return ", ".join(f"{task} is {task.state}" for task in self.now.unfinished) or "dead workers are left"

    def tell(self, what: str) -> None:
        self.trace.append(f"{self._scheduler.seconds:12.6f}  {what}  [{self._scheduler.choices:08x}]")


async def _quietly(statement: Callable[[], Awaitable[None]]) -> None:
    """As a supervisor asks: when it cannot be done now, the heartbeat tells the others later."""
    try:
        await statement()
    except (JournalUnavailable, psycopg.Error) as error:
        _log.debug("not done: %s", error)


def _difference(before: Snapshot, now: Snapshot) -> Iterator[str]:
    """What has changed, for who reads the trace of a run."""
    for task_id, task in now.tasks.items():
        old = before.tasks.get(task_id)
        if old != task:
            yield f"{'':14}{task}: {task.state}, lease {task.lease}" + (
                "" if task.running_on is None else f", on worker {task.running_on}"
            )
        for event in now.journals[task_id][len(before.journals.get(task_id, [])) :]:
            yield f"{'':14}{task}, event {event.index}: {event.label} {event.value[:80]}"
