"""What a function of a plugin is told about the call that it answers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from durable.execution.run import Run


class Call:
    """One call of one task. The first argument of every function of a plugin."""

    __slots__ = ("_is_silent", "_printed", "_run", "idempotency_key", "in_transaction", "label")

    def __init__(self, run: Run, label: str, number: int, *, is_silent: bool) -> None:
        self._run = run
        self._is_silent = is_silent
        self._printed: list[str] = []
        #: What the journal calls it, for instance `acme:mail/send.send`.
        self.label = label
        #: Whether a transaction of the workflow is open.
        self.in_transaction = run.transaction is not None
        created = int(run.task.created_at.timestamp() * 1_000_000)
        #: The same whenever this effect is attempted again, and no other call's: what a receiver knows it by.
        self.idempotency_key = f"durable-{run.task.id}-{run.cursor.index}-p{number}-{created:x}"

    @property
    def task_id(self) -> int:
        return self._run.task.id

    @property
    def task_name(self) -> str:
        return self._run.task.name

    @property
    def task_created_at(self) -> datetime:
        return self._run.task.created_at

    def log(self, text: str) -> None:
        """Add to the task's log, like text that the workflow prints; it appears once, with the call's event.

        Raises RuntimeError in a pure function outside of a transaction: nothing of it is recorded.
        """
        if self._is_silent:
            raise RuntimeError(f"{self.label} is pure and has no event to log with")
        self._printed.append(self._run.decode_output(f"plugin {self.label}", text.encode("utf-8", "replace")))

    @property
    def printed(self) -> str:
        """For the binding: what was logged."""
        return "".join(self._printed)
