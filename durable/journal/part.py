"""What one task hands to the journal writer: everything that must become durable together."""

from __future__ import annotations

from dataclasses import dataclass, field

from durable.model import Event, TaskState


@dataclass(frozen=True, slots=True)
class Message:
    """A notification to another task, as it will be stored. `data` is JSON text."""

    target: int
    event: str
    data: str


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What becomes of the task row. Times are microseconds since the Unix epoch, in database time.

    `wait_index` and `wait_until` keep the deadline of a wait-with-timeout.
    """

    state: TaskState
    wakeup_at: int | None = None
    wakes_on_notification: bool = True
    wait_index: int | None = None
    wait_until: int | None = None


@dataclass(slots=True)
class JournalPart:
    """Consecutive entries of one task under one lease: written all or not at all."""

    task_id: int
    lease: int
    events: list[Event] = field(default_factory=list)
    logs: list[tuple[int, str]] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    change: TaskChange | None = None
