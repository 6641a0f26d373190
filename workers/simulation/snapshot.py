"""What a run is judged by: the database at one moment, and what the simulation did and saw itself."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from durable.model import CRASH_LOG_INDEX, FAILURE_LOG_INDEX, TaskState


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as stored. `created_at` is in microseconds since 1970."""

    index: int
    label: str
    value: str
    created_at: int


@dataclass(frozen=True, slots=True)
class TaskRow:
    """What a task's row says. Times are in microseconds since 1970."""

    id: int
    state: TaskState
    running_on: int | None
    lease: int
    deaths: int
    wakeup_at: int | None
    wait_index: int | None
    wait_until: int | None
    has_completed_at: bool

    def __str__(self) -> str:
        return f"task {self.id}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The database at one moment, `at` microseconds since 1970. `pending` is the data of notifications, by receiver,
    `workers` when the last heartbeat of each worker was.
    """

    tasks: dict[int, TaskRow] = field(default_factory=dict)
    journals: dict[int, list[Recorded]] = field(default_factory=dict)
    logs: dict[int, dict[int, str]] = field(default_factory=dict)
    pending: dict[int, list[Any]] = field(default_factory=dict)
    effects: list[tuple[int, int, int]] = field(default_factory=list)
    workers: dict[int, int] = field(default_factory=dict)
    open_transactions: int = 0
    at: int = 0

    @classmethod
    def of(cls, found: dict[str, Any]) -> Snapshot:
        """From the JSON of the query `snapshot`."""
        rows = [TaskRow(id_, TaskState(state), *columns) for id_, state, *columns in found["tasks"]]
        journals: dict[int, list[Recorded]] = {task.id: [] for task in rows}
        logs: dict[int, dict[int, str]] = {task: {} for task in journals}
        pending: dict[int, list[Any]] = {task: [] for task in journals}
        for task, *columns in found["events"]:
            journals[task].append(Recorded(*columns))
        for task, index, message in found["logs"]:
            logs[task][index] = message
        for task, data in found["notifications"]:
            pending[task].append(json.loads(data))
        effects = [(task, index, lease) for task, index, lease in found["effects"]]
        return cls(
            {task.id: task for task in rows}, journals, logs, pending, effects, dict(found["workers"]),
            found["open_transactions"], found["at"],
        )  # fmt: skip

    def reason(self, task_id: int) -> str:
        """Why a task failed or was quarantined, as its log says."""
        log = self.logs[task_id]
        return log.get(FAILURE_LOG_INDEX) or log.get(CRASH_LOG_INDEX, "for no reason that its log would tell")

    def printed(self, task_id: int) -> dict[int, str]:
        """The log of a task without why it ended."""
        return {index: text for index, text in self.logs[task_id].items() if index < FAILURE_LOG_INDEX}

    @property
    def unfinished(self) -> list[TaskRow]:
        return [task for task in self.tasks.values() if not task.state.is_ended]


@dataclass
class Ledger:
    """`sent` counts notifications by sender and receiver, `requests` tells what was sent by HTTP by task and index,
    `deaths` counts what was reported of a task; `deadlines` and `wakeups` are those first seen, by task and index;
    operators did something to the tasks in `operated`.
    """

    sent: dict[tuple[str, int], int] = field(default_factory=dict)
    requests: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    deaths: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    deadlines: dict[tuple[int, int], int] = field(default_factory=dict)
    wakeups: dict[tuple[int, int], int] = field(default_factory=dict)
    cancelled: set[int] = field(default_factory=set)
    operated: set[int] = field(default_factory=set)
    faults: int = 0
