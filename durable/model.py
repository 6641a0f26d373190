"""The things durable speaks about, as plain values. No I/O, no behaviour beyond what a value can say of itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: Log index of the reason why a task failed, and of a crash of the host itself (docs/architecture.md, "Logs").
FAILURE_LOG_INDEX = 2147483646
CRASH_LOG_INDEX = 2147483647


class TaskState(StrEnum):
    READY = "ready"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    COMPLETE = "complete"
    FAILED = "failed"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"

    @property
    def is_final(self) -> bool:
        """True when nothing can ever change the task again: it takes no more notifications."""
        return self in _FINAL

    @property
    def is_ended(self) -> bool:
        """True when no worker will go on with the task unless an operator says so."""
        return self in _ENDED


_FINAL = frozenset({TaskState.COMPLETE, TaskState.FAILED, TaskState.CANCELLED})
_ENDED = _FINAL | {TaskState.QUARANTINED}


@dataclass(frozen=True, slots=True)
class Task:
    """A task as a client sees it. `data` is JSON text."""

    id: int
    name: str
    state: TaskState
    program: str | None  # name of the program, when it has one
    program_hash: str  # sha256, hexadecimal
    data: str
    running_on: int | None
    created_at: datetime
    completed_at: datetime | None
    wakeup_at: datetime | None
    lease: int


@dataclass(frozen=True, slots=True)
class Program:
    """A stored component, by content. `hash` is the sha256 in hexadecimal, `size` in bytes."""

    id: int
    hash: str
    name: str | None
    size: int
    last_used: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a journal. `value` is JSON text as PostgreSQL prints it, so that first run and replay agree."""

    index: int
    label: str
    value: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """What one recorded call printed."""

    index: int
    message: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to a task that it has not taken yet. `data` is JSON text."""

    id: int
    created_at: datetime
    event: str
    data: str


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task that this worker holds the lease of, with what it needs to run it.

    `data` is JSON text, or None when it is too large to come along with a claim. `events` is the length of its journal.
    `wait_until` (microseconds since the Unix epoch, database time) is the deadline of the wait-with-timeout that was
    first reached at event index `wait_index`.
    """

    id: int
    name: str
    data: str | None
    created_at: datetime
    program_id: int
    lease: int
    events: int
    wait_index: int | None
    wait_until: int | None


@dataclass(frozen=True, slots=True)
class Culprit:
    """A task, with its lease, that a worker was computing for when it died, and how it died, in words."""

    task_id: int
    lease: int
    cause: str


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A registered worker as a client sees it. One that is not alive has lost its leases; one that drains claims none.

    `heartbeat_age` is in seconds, by the clock of the database. `active_tasks` are those it holds the lease of; tasks
    of a dead worker are counted until somebody takes them over.
    """

    id: int
    host: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    heartbeat_age: float
    is_alive: bool
    active_tasks: int
    is_draining: bool

    @property
    def state(self) -> str:
        """`running`, `draining` or `dead`."""
        if not self.is_alive:
            return "dead"
        return "draining" if self.is_draining else "running"
