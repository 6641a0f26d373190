"""The statements that workers and clients execute all the time, with the values of a busy moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from durable.journal.part import JournalPart, TaskChange
from durable.model import Event, TaskState
from durable.store.journal import append_parameters
from durable.store.leases import INLINE_BYTES
from durable.store.queries import load
from tests.engine.database import Database, workflow

_BATCH = 100
_EVENTS = 10
_TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Moment:
    """What lies beside the finished tasks: a worker, and tasks in every other state."""

    program: int
    worker: int
    active: Sequence[int]
    suspended: Sequence[int]
    finished: int


@dataclass(frozen=True, slots=True)
class Hot:
    """A statement, and the number of buffers that it may touch: some for each row that it writes or reads.

    `scans` is a table that it reads from end to end on purpose.
    """

    statement: str
    parameters: Mapping[str, Any]
    buffers: int
    scans: str | None = None


def set_the_stage(database: Database) -> Moment:
    """Tasks that are ready, active, asleep and notified; analysed as by autovacuum."""
    program = database.program(workflow("ten-events"))
    worker = int(database.value("INSERT INTO durable.worker DEFAULT VALUES RETURNING id"))
    _tasks(database, program, "ready", 1000)
    active = _tasks(database, program, "active", _BATCH, worker)
    suspended = _tasks(database, program, "suspended", 10_000)
    database.query("UPDATE durable.task SET wakeup_at = durable.now() + id * interval '1 s' WHERE state = 'suspended'")
    database.query(
        "INSERT INTO durable.notification (task_id, event) SELECT id, 'n' FROM unnest(%s::bigint[]) AS id", active
    )
    paused = _tasks(database, program, "paused", 1000)
    database.query(
        "INSERT INTO durable.notification (task_id, event)"
        " SELECT id, 'n' FROM unnest(%s::bigint[]) AS id, generate_series(1, 100)", paused,
    )  # fmt: skip
    database.query(
        "INSERT INTO durable.event (task_id, index, label, value)"
        " SELECT id, index, 'step', '1' FROM unnest(%s::bigint[]) AS id, generate_series(0, 99) AS index", active,
    )  # fmt: skip
    _add_old_programs(database)
    database.query("VACUUM ANALYZE durable.task, durable.event, durable.notification, durable.worker, durable.wasm")
    finished = int(
        database.value("SELECT id FROM durable.task WHERE completed_at IS NOT NULL ORDER BY completed_at LIMIT 1")
    )
    return Moment(program, worker, active, suspended, finished)


def _add_old_programs(database: Database) -> None:
    """Not used for a year: one has no task any more, the other has a task, the last of the table."""
    unused, used = (
        int(
            database.value(
                "INSERT INTO durable.wasm (hash, wasm, last_used) VALUES (%s, '', durable.now() - interval '1 year')"
                " RETURNING id", name,
            )
        )
        for name in (b"unused", b"used")
    )  # fmt: skip
    assert unused < used
    _tasks(database, used, "complete", 1)


def _tasks(database: Database, program: int, state: str, count: int, worker: int | None = None) -> list[int]:
    rows = database.query(
        "INSERT INTO durable.task (name, wasm, state, running_on, lease)"
        " SELECT %s, %s, %s::durable.task_state, %s, 1 FROM generate_series(1, %s) RETURNING id",
        state, program, state, worker, count,
    )  # fmt: skip
    return [row[0] for row in rows]


def _append(moment: Moment, events: int, change: TaskChange | None) -> dict[str, Any]:
    recorded = [Event(100 + number, "step", '{"type": "value", "data": 1}') for number in range(events)]
    return append_parameters(
        [JournalPart(task, 1, events=recorded, change=change) for task in moment.active], moment.worker
    )


def _complete(moment: Moment) -> Hot:
    parameters = _append(moment, _EVENTS, TaskChange(TaskState.COMPLETE))
    return Hot(load("journal")["append"], parameters, buffers=40 * _BATCH + 15 * _BATCH * _EVENTS)


def _events_only(moment: Moment) -> Hot:
    return Hot(load("journal")["append"], _append(moment, _EVENTS, None), buffers=15 * _BATCH * (_EVENTS + 1))


def _claim(moment: Moment) -> Hot:
    parameters = {"worker": moment.worker, "limit": _BATCH, "lacking": [], "bytes": INLINE_BYTES}
    return Hot(load("lease")["claim"], parameters, buffers=60 * _BATCH)


def _plain(file: str, name: str, buffers: int, /, **parameters: Any) -> Callable[[Moment], Hot]:
    """Values that are functions are asked for the moment's."""

    def make(moment: Moment) -> Hot:
        given = {key: value(moment) if callable(value) else value for key, value in parameters.items()}
        return Hot(load(file)[name], given, buffers)

    return make


def _active(moment: Moment) -> list[int]:
    return list(moment.active)


HOT_STATEMENTS: Mapping[str, Callable[[Moment], Hot]] = {
    "claim of 100": _claim,
    "claim of nothing": _plain(
        "lease", "claim", 20, worker=lambda m: m.worker, limit=0, lacking=[], bytes=INLINE_BYTES
    ),
    "append, 100 x 10 events, ends": _complete,
    "append, 100 x 10 events": _events_only,
    "wake_notified, 100 tasks": _plain("journal", "wake_notified", 8 * _BATCH, task=_active),
    "wake_waiting, 100 tasks": _plain("journal", "wake_waiting", 8 * _BATCH, tasks=_active),
    "take_up_stranded": lambda moment: Hot(load("lease")["take_up_stranded"], {"limit": 1000}, 10),
    "wake_all_waiting": lambda moment: Hot(load("journal")["wake_all_waiting"], {}, 15_000, scans="notification"),
    "events, 100 journals": _plain(
        "journal", "events", 40 * _BATCH, tasks=_active, firsts=[0] * _BATCH, limit=1000, bytes=80_000
    ),
    "pending_notifications, 100": _plain("journal", "pending_notifications", 6 * _BATCH, tasks=_active, bytes=80_000),
    "notified_tasks, 100": _plain("journal", "notified_tasks", 6 * _BATCH, tasks=_active),
    "task_states, 100": _plain("journal", "task_states", 6 * _BATCH, tasks=_active),
    "lost, 100": _plain(
        "lease", "lost", 6 * _BATCH, task=_active, lease=[1] * _BATCH, worker=lambda m: m.worker
    ),
    "release, 100": _plain(
        "lease", "release", 60 * _BATCH, task=_active, lease=[1] * _BATCH, worker=lambda m: m.worker
    ),
    "heartbeat": _plain("lease", "heartbeat", 30, worker=lambda m: m.worker, timeout=_TIMEOUT),
    "dead_workers": _plain("lease", "dead_workers", 10, worker=lambda m: m.worker, timeout=_TIMEOUT, boot="b"),
    "reclaim of 100": _plain(
        "lease", "reclaim", 80 * _BATCH, known_dead=lambda m: [m.worker], presumed_dead=[], timeout=_TIMEOUT,
        limit=1000, culprit_task=[], culprit_lease=[], culprit_cause=[], max_deaths=3, reason_index=2147483646,
    ),
    "delete_ended_tasks, none due": _plain("sweep", "delete_ended_tasks", 10, age=30 * 86400, limit=100, rows=1000),
    "delete_ended_tasks of 100": _plain("sweep", "delete_ended_tasks", 60 * _BATCH, age=86400, limit=_BATCH, rows=1000),
    "shorten_ended_task, none due": _plain("sweep", "shorten_ended_task", 20, age=30 * 86400, rows=1000),
    "shorten_ended_task": _plain("sweep", "shorten_ended_task", 100, age=86400, rows=1),
    "delete_unused_programs": _plain("sweep", "delete_unused_programs", 100, ttl=86400, limit=100),
    "launch": _plain("task", "launch", 60, program_id=lambda m: m.program, name="task", data="null"),
    "launch_many of 1,000": _plain(
        "task", "launch_many", 60_000, program_id=lambda m: m.program, names=json.dumps(["task"] * 1000),
        data=json.dumps([None] * 1000)
    ),
    "notify": _plain("notification", "send", 60, task_id=lambda m: m.suspended[0], event="n", data="null"),
    "state": _plain("task", "state", 6, task_id=lambda m: m.finished),
    "get": _plain("task", "get", 10, task_id=lambda m: m.finished),
    "list": _plain("task", "list", 500, state=None, name_pattern=None, limit=100),
    "event page": _plain("event", "page", 20, task_id=lambda m: m.finished, after=-1, limit=1000),
    "log page": _plain("log", "page", 20, task_id=lambda m: m.finished, after=-1, before=2147483646, limit=1000),
}  # fmt: skip
