"""Read what a task recorded and printed: as it is now, or as it is committed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from durable.model import FAILURE_LOG_INDEX, Event, LogLine, TaskState
from durable.operations.patience import POLL_INTERVAL, patiently
from durable.operations.steps import Emit, Listen, Operation, Statement, Step, Stream, Wait
from durable.operations.tasks import state_of
from durable.store import queries

_EVENT = queries.load("event")
_LOG = queries.load("log")

# A log row holds up to max_log_bytes_per_transaction and an event up to max_event_bytes: a page must fit in
# memory.
LOG_PAGE = 200
EVENT_PAGE = 500

CHANNELS = ("durable:log", "durable:task-complete")


def events(task_id: int) -> Stream[None]:
    """Emit the journal in order. Raises UnknownTask."""
    yield from state_of(task_id)
    after = -1
    while True:
        rows = yield Statement(_EVENT["page"], {"task_id": task_id, "after": after, "limit": EVENT_PAGE})
        for row in rows:
            yield Emit(Event(*row))
        if len(rows) < EVENT_PAGE:
            return
        after = rows[-1][0]


def logs(task_id: int) -> Stream[None]:
    """Emit what the task printed until now, in order, the reason of a failure last. Raises UnknownTask."""
    yield from state_of(task_id)
    yield from _printed(task_id, -1)
    yield from _reason(task_id)


def follow_logs(task_id: int) -> Stream[TaskState]:
    """Emit what the task printed and prints, in order, until it has ended; return its final state.

    Raises UnknownTask, also when the task is deleted meanwhile.
    """
    state = yield from state_of(task_id)
    if not state.is_ended:
        yield Listen(CHANNELS, task_id)
    last = -1
    while True:
        # The state is read before the log: what an ended task printed was committed before its end or with
        # it.
        state = yield from patiently(partial(state_of, task_id))
        last = yield from _printed(task_id, last)
        if state.is_ended:
            yield from _reason(task_id)
            return state
        yield Wait(POLL_INTERVAL)


def reason(task_id: int) -> Operation[list[LogLine]]:
    """Why the task failed, from its log; empty when nothing is said there."""
    rows = yield Statement(_LOG["reason"], {"task_id": task_id, "from": FAILURE_LOG_INDEX})
    return [LogLine(*row) for row in rows]


def _printed(task_id: int, last: int) -> Generator[Step | Emit, Any, int]:
    """Emit what was printed after index `last`, and return the new last index."""
    while True:
        rows = yield from patiently(partial(_page, task_id, last))
        for row in rows:
            yield Emit(LogLine(*row))
        last = rows[-1][0] if rows else last
        if len(rows) < LOG_PAGE:
            return last


def _page(task_id: int, after: int) -> Operation[Sequence[Sequence[Any]]]:
    parameters = {"task_id": task_id, "after": after, "before": FAILURE_LOG_INDEX, "limit": LOG_PAGE}
    rows: Sequence[Sequence[Any]] = yield Statement(_LOG["page"], parameters)
    return rows


def _reason(task_id: int) -> Generator[Step | Emit, Any, None]:
    for line in (yield from patiently(partial(reason, task_id))):
        yield Emit(line)
