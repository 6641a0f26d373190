"""The tasks that a worker runs now: each an asyncio task that ends with one terminal write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from durable import metrics
from durable.config import Config
from durable.errors import InvalidComponent, MissingPlugin
from durable.execution.database import GuestDatabase
from durable.execution.group_commit import GroupCommit
from durable.execution.http import GuestHttp
from durable.execution.outcome import Outcome
from durable.execution.run import JournalReader, Run
from durable.execution.tail import Tail, lost_lease
from durable.failpoints import passing
from durable.journal.faults import Fenced, JournalUnavailable, Unstorable
from durable.model import ClaimedTask, TaskState
from durable.runner import Runner, crashed, failed, quarantined
from durable.timing import DatabaseClock
from durable.wasm.program import Program
from durable.wasm.traps import HostExhausted
from workers.programs import KilledTooOften, Programs
from workers.restraint import Restraint
from workers.stack_dump import TaskInMemory

_log = logging.getLogger("durable.worker")


class RunningTasks:
    """Starts claimed tasks, stops them, and keeps what has to be handed back.

    `put_back` holds (task, lease) of tasks whose code has stopped and which somebody else should go on with.
    """

    def __init__(
        self, config: Config, runner: Runner, programs: Programs, writer: GroupCommit, reader: JournalReader,
        clock: DatabaseClock, on_free: Callable[[], None], database: GuestDatabase, http: GuestHttp,
        lease_is_trusted: Callable[[], bool], restraint: Restraint,
    ) -> None:  # fmt: skip
        self._config = config
        self._runner = runner
        self._programs = programs
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._on_free = on_free
        self._database = database
        self._http = http
        self._lease_is_trusted = lease_is_trusted
        self._restraint = restraint
        self._runs: dict[int, Run] = {}  # the newest of each task: one whose lease is over may still be on its way out
        self._tasks: dict[Run, asyncio.Task[None]] = {}
        self._are_abandoned = False
        self.put_back: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: int) -> bool:
        return task_id in self._runs

    @property
    def known(self) -> list[tuple[int, int]]:
        """(task, lease) of all that this worker knows to have, be it only to hand them back."""
        return [*((run.task.id, run.task.lease) for run in self._tasks), *self.put_back]

    def start(self, task: ClaimedTask) -> None:
        tail = Tail(task.id, task.lease, self._writer)
        run = Run(
            task, self._config, tail, self._clock, self._reader, database=self._database, http=self._http,
            lease_is_trusted=self._lease_is_trusted,
        )  # fmt: skip
        if (former := self._runs.get(task.id)) is not None:
            former.tail.break_off(lost_lease())
        self._runs[task.id] = run
        running = asyncio.create_task(self._run(run), name=f"task {task.id}")
        tail.on_broken = running.cancel
        self._tasks[run] = running
        metrics.worker_tasks.inc()

    def hint(self, task_id: int) -> None:
        """A notification for a task arrived, which may or may not run here."""
        run = self._runs.get(task_id)
        if run is not None:
            run.inbox.hint()

    def waiting(self) -> list[int]:
        """Ids of the tasks that wait for a notification in memory."""
        return [run.task.id for run in self._tasks if run.inbox.waiting]

    def leases(self, task_ids: Iterable[int] | None = None) -> list[tuple[int, int]]:
        """(task, lease) of these tasks, or of all, as far as they run here and have nothing unwritten.

        The others find out by themselves, when it is written.
        """
        runs = list(self._tasks) if task_ids is None else [self._runs[id] for id in task_ids if id in self._runs]
        return [(run.task.id, run.task.lease) for run in runs if run.tail.is_durable]

    def drop(self, leases: Iterable[tuple[int, int]]) -> None:
        """These leases are over: drop the guests, unless something was written for them just now."""
        for task_id, lease in leases:
            run = self._runs.get(task_id)
            if run is not None and run.task.lease == lease and run.tail.is_durable:
                run.tail.break_off(lost_lease())

    def describe(self) -> list[TaskInMemory]:
        """What each task is at."""
        return [
            TaskInMemory(run.task.id, self._programs.hash_of(run.task.program_id), run.cursor.index, run.state, running)
            for run, running in self._tasks.items()
        ]

    async def stop_between_steps(self) -> None:
        """Drop the guests that have no transaction open, and no effect of a plugin, where they stand, and write their
        tails; they are then in `put_back`. The others follow by themselves, each once that has ended.
        """
        for run in self._tasks:
            run.is_leaving = True
        await _cancel_all([running for run, running in self._tasks.items() if run.is_between_steps])

    async def stop(self, grace: float) -> None:
        """Wait so many seconds for open transactions, then drop whoever is left."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=grace)
        await _cancel_all(list(self._tasks.values()))

    async def abandon(self) -> None:
        """The leases are over: drop all guests and write nothing."""
        self._are_abandoned = True
        for run in list(self._tasks):
            run.tail.break_off(lost_lease())
        await _cancel_all(list(self._tasks.values()))
        self.put_back.clear()

    async def _run(self, run: Run) -> None:
        try:
            await self._run_to_end(run)
            self._restraint.success()
        except Fenced:
            self._tell_lost(run)
        except (JournalUnavailable, MissingPlugin) as error:
            self._restraint.blames(error)
            _log.info("task %s is put back: %s", run.task.id, error, extra={"task_id": run.task.id})
            self._put_back(run)
        except HostExhausted as error:
            _log.warning(
                "task %s is put back, for this host is short of something: %s", run.task.id, _first_line(str(error)),
                extra={"task_id": run.task.id},
            )  # fmt: skip
            self._put_back(run)
        except asyncio.CancelledError:
            await self._write_tail(run)
        except Exception:
            # A bug of ours; the task is somebody else's chance, and this worker's leases must not keep it from that.
            _log.exception("task %s met an error of the host; it is put back", run.task.id)
            self._put_back(run)
        finally:
            del self._tasks[run]
            if self._runs.get(run.task.id) is run:
                del self._runs[run.task.id]
            metrics.worker_tasks.dec()
            metrics.events_replayed.inc(run.replayed)
            self._on_free()

    async def _run_to_end(self, run: Run) -> None:
        program = await self._load(run)
        outcome = program if isinstance(program, Outcome) else await self._runner.run(run, program)
        try:
            await _finish(run.tail, outcome)
        except Unstorable as error:
            outcome = await self._fail(run, str(error))
        _tell(run, outcome)
        self._note_duration(run, outcome)

    async def _load(self, run: Run) -> Program | Outcome:
        """The task's program, or how a task ends that has none to run."""
        try:
            return await self._programs.load(run.task.program_id)
        except (JournalUnavailable, MissingPlugin, HostExhausted):
            raise
        except InvalidComponent as error:
            return failed(str(error))
        except KilledTooOften as error:
            return quarantined(str(error))
        except Exception as error:
            return crashed(run.task.id, error)

    async def _fail(self, run: Run, reason: str) -> Outcome:
        """What the database refuses is gone, but the failure itself can be told, through a tail of its own."""
        outcome = failed(reason)
        await _finish(Tail(run.task.id, run.task.lease, self._writer), outcome)
        return outcome

    def _note_duration(self, run: Run, outcome: Outcome) -> None:
        if outcome.state in (TaskState.COMPLETE, TaskState.FAILED):
            metrics.task_duration.observe(self._clock.now() / 1e9 - run.task.created_at.timestamp())

    async def _write_tail(self, run: Run) -> None:
        """Stopped from outside, for a drain: nothing recorded so far needs to be done again by the next owner."""
        try:
            await run.tail.durable()
        except Fenced:
            self._tell_lost(run)
            return
        except Unstorable as error:
            await self._fail(run, str(error))
            return
        except JournalUnavailable as error:
            _log.info("task %s is put back without its last events: %s", run.task.id, error)
        self._put_back(run)

    def _tell_lost(self, run: Run) -> None:
        if not self._are_abandoned:  # that is said once for all of them
            _log.info("task %s is not this worker's any more; dropped it", run.task.id, extra={"task_id": run.task.id})

    def _put_back(self, run: Run) -> None:
        self.put_back.append((run.task.id, run.task.lease))


async def _finish(tail: Tail, outcome: Outcome) -> None:
    if outcome.reason is not None and outcome.log_index is not None:
        tail.add_log(outcome.log_index, outcome.reason)
    tail.change(outcome.change)
    passing("suspend.before" if outcome.state is TaskState.SUSPENDED else "finish.before")
    await tail.durable()
    passing("suspend.done" if outcome.state is TaskState.SUSPENDED else "finish.done")


def _tell(run: Run, outcome: Outcome) -> None:
    if outcome.state is TaskState.QUARANTINED:
        _log.error("task %s is quarantined: %s", run.task.id, outcome.reason, extra={"task_id": run.task.id})
    elif outcome.state is TaskState.FAILED:
        _log.info("task %s failed: %s", run.task.id, _first_line(outcome.reason), extra={"task_id": run.task.id})


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0]


async def _cancel_all(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
