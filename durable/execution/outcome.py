"""How one run of a task ends."""

from __future__ import annotations

from dataclasses import dataclass

from durable.journal.part import TaskChange
from durable.model import TaskState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the worker writes for a run that is over. `reason` is the text for the log of a task that did not complete.

    `log_index` is the index of that log row.
    """

    change: TaskChange
    reason: str | None = None
    log_index: int | None = None

    @property
    def state(self) -> TaskState:
        return self.change.state


class Exit(Exception):
    """The guest called `exit`. Never an error of the host."""

    def __init__(self, succeeded: bool, status: int) -> None:
        super().__init__(f"exit status {status}")
        self.succeeded = succeeded
        self.status = status


class Suspend(Exception):
    """The guest waits for longer than it is worth keeping in memory: drop it and run it again when it can go on."""

    def __init__(self, change: TaskChange) -> None:
        super().__init__("suspended")
        self.change = change
