"""How much a worker claims while the database answers and cannot do its work: a full disk, no memory, I/O errors."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg

from durable import metrics
from durable.journal.faults import DatabaseImpaired
from durable.store.problems import unavailable

_log = logging.getLogger("durable.worker")

#: Seconds of the first pause.
FIRST_PAUSE = 1.0
#: Tasks that are tried after a pause. More than one, so that a single task that the database always refuses keeps
#: nobody else waiting.
FEW = 10
#: Tasks at once from which on a claim is like any other.
ENOUGH = 100
#: Seconds without a fault after which the last one is history, also if no task came to an end.
FORGET_AFTER = 60.0


class Restraint:
    """A task that cannot be recorded runs in vain, and what it does outside is done again by its next run. So after a
    fault nothing is claimed for a while, up to `longest` seconds and twice as long each time; then a few tasks are
    tried, and twice as many with each of which the end was recorded.

    `clock` is monotonic, in seconds. What is wrong is said once, and once that it is over.
    """

    def __init__(self, longest: float, clock: Callable[[], float]) -> None:
        self._longest = longest
        self._clock = clock
        self._few: int | None = None
        self._pause = 0.0
        self._resume_at = self._forget_at = float("-inf")

    def blames(self, error: Exception) -> bool:
        """Whether it is a fault of this kind, after which less is claimed."""
        fault = unavailable(error) if isinstance(error, psycopg.Error) else error
        if isinstance(fault, DatabaseImpaired):
            self._note(str(fault))
        return isinstance(fault, DatabaseImpaired)

    def success(self) -> None:
        """The end of a task was recorded."""
        if self._few is not None and self._clock() >= self._resume_at:
            self._few *= 2
            if self._few > ENOUGH:
                self._lift()

    def seconds_left(self) -> float:
        """Until something may be claimed again."""
        return max(self._resume_at - self._clock(), 0.0)

    def most(self, limit: int) -> int:
        """How many of these tasks may be claimed at once."""
        if self._few is not None and self._clock() >= self._forget_at:
            self._lift()
        return limit if self._few is None else min(limit, self._few)

    @property
    def is_on(self) -> bool:
        return self._few is not None

    def _note(self, reason: str) -> None:
        now = self._clock()
        if self._few is None:
            _log.warning("the database cannot write; tasks wait, and a few are tried now and then: %s", reason)
            metrics.database_impaired.set(1)
        if now >= self._resume_at:  # otherwise it belongs to the fault before
            self._pause = min(2 * self._pause if now < self._forget_at else FIRST_PAUSE, self._longest)
            self._resume_at = now + self._pause
        self._few = FEW
        self._forget_at = now + FORGET_AFTER

    def _lift(self) -> None:
        self._few = None
        metrics.database_impaired.set(0)
        _log.info("tasks are claimed as usual again")
