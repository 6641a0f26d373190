"""Runs one task from the top until it is over, suspended, or taken away: `run(lease) → Outcome`."""

from __future__ import annotations

import logging
import traceback
from collections.abc import MutableSequence

from durable import metrics
from durable.execution.outcome import Exit, Outcome, Suspend
from durable.execution.run import Run
from durable.journal.cursor import BrokenJournal, Divergence
from durable.journal.faults import Fenced, JournalUnavailable, Unstorable
from durable.journal.log_text import cut_log, made_storable
from durable.journal.part import TaskChange
from durable.model import CRASH_LOG_INDEX, FAILURE_LOG_INDEX, TaskState
from durable.plugins.errors import PluginFailed
from durable.wasm.busy import Busy, nobody_looks
from durable.wasm.engine import EpochTicker
from durable.wasm.fiber import Fiber, GuestLimits
from durable.wasm.linker import Linker
from durable.wasm.program import Program
from durable.wasm.traps import GuestTrap, HostExhausted
from durable.wasm.values import Ok

_log = logging.getLogger("durable.runner")
_MAX_REASON_BYTES = 16_384


class Runner:
    """Runs tasks of one process: the linker, the ticker and the limits that all its guests share.

    `busy_cells` tell the supervisor which task is being computed for, see durable.wasm.busy.
    """

    def __init__(
        self, linker: Linker, ticker: EpochTicker, limits: GuestLimits, busy_cells: MutableSequence[int] | None = None
    ) -> None:
        self._linker = linker
        self._ticker = ticker
        self._limits = limits
        self._busy_cells = nobody_looks() if busy_cells is None else busy_cells

    async def run(self, run: Run, program: Program) -> Outcome:
        """Run the guest.

        Raises Fenced, JournalUnavailable and HostExhausted: then nothing is to be written for this run.
        """
        try:
            outcome = _returned(await self.play(run, program))
        except (Fenced, JournalUnavailable, HostExhausted):
            raise
        except Exception as ended:
            outcome = _ended(run, ended)
        finally:
            transaction = run.transaction
            await run.close()
        outcome = _whole_replay(run, outcome)
        printed = "" if transaction is None else str(transaction.log)
        if printed and outcome.state in (TaskState.COMPLETE, TaskState.FAILED):
            # What an unfinished transaction printed is often the only trace of why the task failed.
            run.tail.add_log(run.cursor.index, printed)
        return outcome

    async def play(self, run: Run, program: Program) -> object:
        """The guest itself, as a fiber: what its `run` returns. A simulation may have another kind of guest."""
        busy = Busy(self._busy_cells, run.task.id, run.task.lease)
        fiber = Fiber(self._linker, self._ticker, run, self._limits, busy)
        run.on_progress = fiber.restart_cpu_clock
        return await fiber.run(program)


def _whole_replay(run: Run, outcome: Outcome) -> Outcome:
    """A run that ends although its journal goes on is another program than the one that wrote the journal."""
    ended = outcome.state in (TaskState.COMPLETE, TaskState.FAILED)
    if not ended or run.cursor.index >= run.cursor.length:
        return outcome
    metrics.divergences.inc()
    return quarantined(
        f"workflow execution is non-deterministic: {run.cursor.length} events are stored but the workflow ended at "
        f"index {run.cursor.index}" + (f"\n{outcome.reason}" if outcome.reason else ""),
    )


def _returned(result: object) -> Outcome:
    if isinstance(result, Ok):
        return Outcome(TaskChange(TaskState.COMPLETE))
    return failed("the workflow returned an error")


def _ended(run: Run, ended: Exception) -> Outcome:
    match ended:
        case Exit(succeeded=True):
            return Outcome(TaskChange(TaskState.COMPLETE))
        case Exit():
            return failed(f"the workflow exited with status {ended.status}")
        case Suspend():
            return Outcome(ended.change)
        case Divergence():
            metrics.divergences.inc()
            return quarantined(str(ended))
        case BrokenJournal():
            return quarantined(str(ended))
        case GuestTrap():
            return failed(run.last_words.explain(str(ended)))
        case Unstorable():
            return failed(str(ended))
        case PluginFailed():
            return _plugin_failed(run.task.id, ended)
        case _:
            return crashed(run.task.id, ended)


def failed(reason: str) -> Outcome:
    """The outcome of a task that cannot complete, for a reason that running it again would not change."""
    return _stopped(TaskState.FAILED, reason)


def quarantined(reason: str) -> Outcome:
    """The outcome of a task that waits for somebody to see to the reason, and to resume it."""
    return _stopped(TaskState.QUARANTINED, reason)


def crashed(task_id: int, error: Exception) -> Outcome:
    """The outcome of a task that met an error of the host itself: a bug, told where the user looks."""
    _log.error("task %s met an error of the host", task_id, exc_info=error)
    text = "".join(traceback.format_exception(error))
    return _stopped(TaskState.FAILED, f"task panicked: {text}", CRASH_LOG_INDEX)


def _plugin_failed(task_id: int, error: PluginFailed) -> Outcome:
    """A bug of a plugin: which one comes first, then where in it."""
    _log.error("task %s: %s", task_id, error, exc_info=error.__cause__, extra={"task_id": task_id})
    where = "" if error.__cause__ is None else "".join(traceback.format_exception(error.__cause__))
    return _stopped(TaskState.FAILED, f"{error}\n{where}", CRASH_LOG_INDEX)


def _stopped(state: TaskState, reason: str, log_index: int = FAILURE_LOG_INDEX) -> Outcome:
    # The reason may quote what a guest or a plugin said: it must never be what keeps the end from being written.
    return Outcome(TaskChange(state), cut_log(made_storable(reason), _MAX_REASON_BYTES), log_index)
