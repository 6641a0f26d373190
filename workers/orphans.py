"""Rows of `durable.worker` whose processes have died, until a live worker has taken back their tasks.

Losing an entry costs time and nothing else: any worker takes the tasks of a row without heartbeat. Asking
twice costs nothing either. So whoever does not answer soon is passed over, and asked nothing more until he
does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from durable.model import Culprit
from workers.link import Reclaim

#: Rows in one message; keeps it below the smallest socket buffer (8 KiB on macOS).
BATCH = 100
#: Rows remembered at all: workers may die for weeks without one that becomes ready.
CAPACITY = 1000
#: Seconds until the rows given to a worker that does not answer are offered to others too.
ANSWER_WITHIN = 2.0


@dataclass(frozen=True, slots=True)
class _Asked:
    rows: dict[int, tuple[Culprit, ...]]
    until: float


class Orphans:
    """Who has to be reclaimed, and which worker (by pid) was asked to."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Culprit, ...]] = {}  # in order, oldest first
        self._asked: dict[int, _Asked] = {}
        self._owing: set[int] = set()  # asked and never answered: gets no second message

    def add(self, worker_ids: Iterable[int], culprits: tuple[Culprit, ...] = ()) -> None:
        """These rows have lost their process, which was computing for the culprits."""
        self._add(dict.fromkeys(worker_ids, culprits))

    def _add(self, rows: dict[int, tuple[Culprit, ...]]) -> None:
        self._waiting.update(rows)
        while len(self._waiting) > CAPACITY:
            del self._waiting[next(iter(self._waiting))]

    @property
    def waiting(self) -> tuple[int, ...]:
        """Rows that nobody is asked to reclaim at the moment."""
        return tuple(self._waiting)

    def next_deadline(self) -> float | None:
        """When `pass_over` has something to do."""
        return min((asked.until for asked in self._asked.values()), default=None)

    def may_ask(self, pid: int) -> bool:
        return pid not in self._owing

    def ask(self, pid: int, now: float) -> Reclaim:
        """What to tell this worker; from now on it is expected to answer."""
        rows = {worker_id: self._waiting.pop(worker_id) for worker_id in self.waiting[:BATCH]}
        self._asked[pid] = _Asked(rows, now + ANSWER_WITHIN)
        self._owing.add(pid)
        # Once each: all rows of one process name the same.
        culprits = dict.fromkeys(culprit for found in rows.values() for culprit in found)
        return Reclaim(tuple(rows), tuple(culprits))

    def answered(self, pid: int, worker_ids: Iterable[int]) -> None:
        """The worker has taken back the tasks of these rows."""
        self._asked.pop(pid, None)
        self._owing.discard(pid)
        for worker_id in worker_ids:
            self._waiting.pop(worker_id, None)

    def pass_over(self, now: float) -> None:
        """Offer to others what was given to workers that did not answer in time."""
        for pid, asked in list(self._asked.items()):
            if now >= asked.until:
                del self._asked[pid]
                self._add(asked.rows)

    def died(self, pid: int) -> None:
        """The worker answers no more."""
        asked = self._asked.pop(pid, None)
        self._owing.discard(pid)
        if asked:
            self._add(asked.rows)
