"""The journal writer of one worker: the tails of all its tasks in one statement and one commit.

While one commit is under way, what the tasks add meanwhile gathers for the next, so the size of a batch follows the
speed of the database by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from durable import metrics
from durable.execution.tail import Tail, lost_lease
from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable, Unstorable
from durable.journal.part import JournalPart
from durable.model import TaskState

_log = logging.getLogger("durable.journal")

#: Parts of more tasks than this go into several commits, so that one batch stays well within a second.
MAX_BATCH_TASKS = 500
MAX_BATCH_EVENTS = 5000
MAX_BATCH_BYTES = 32 << 20

_ENDINGS = {
    TaskState.COMPLETE: metrics.tasks_completed,
    TaskState.FAILED: metrics.tasks_failed,
    TaskState.SUSPENDED: metrics.tasks_suspended,
    TaskState.QUARANTINED: metrics.tasks_quarantined,
}


class JournalStore(Protocol):
    """Writes parts to the database: `durable.store.journal`."""

    async def append(self, parts: Sequence[JournalPart]) -> set[int]:
        """Write in one transaction; the ids of the tasks whose lease held. Raises JournalUnavailable, Unstorable."""


class GroupCommit:
    """Runs as one asyncio task: `await run()` until it is cancelled, or until `close` and everything is written."""

    def __init__(self, store: JournalStore, flush_interval: float) -> None:
        self._store = store
        self._flush_interval = flush_interval
        self._dirty: dict[int, Tail] = {}
        self._first_dirty = asyncio.Event()
        self._hurry = asyncio.Event()
        self._closing = False

    # -- what tails tell --------------------------------------------------------------------------------------------
    def notice(self, tail: Tail) -> None:
        self._dirty[id(tail)] = tail
        self._first_dirty.set()

    def hurry(self) -> None:
        self._hurry.set()

    def close(self) -> None:
        """Write what there is, then let `run` return."""
        self._closing = True
        self._first_dirty.set()
        self._hurry.set()

    # -- the loop ---------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        while not (self._closing and not self._dirty):
            await self._first_dirty.wait()
            await self._wait_for_company()
            self._first_dirty.clear()
            self._hurry.clear()
            dirty, self._dirty = self._dirty, {}
            await self._write_all(_batches(list(dirty.values())))

    async def _wait_for_company(self) -> None:
        """Nobody waits for these entries, so let more gather, up to the flush interval."""
        try:
            async with asyncio.timeout(self._flush_interval):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _write_all(self, batches: list[list[_Cut]]) -> None:
        try:
            for batch in batches:
                await self._write(batch)
        except BaseException as error:
            # Tasks must never wait for a writer that is gone.
            for batch in batches:
                _break(batch, JournalUnavailable(f"the journal writer stopped: {error!r}"))
            raise

    async def _write(self, batch: list[_Cut]) -> None:
        try:
            passing("append.before")
            started = time.monotonic()
            held = await self._store.append([cut.part for cut in batch])
            passing("append.done")
        except JournalUnavailable as error:
            _break(batch, error)
        except Unstorable as error:
            await self._isolate(batch, error)
        else:
            _count(batch, held, time.monotonic() - started)
            _settle(batch, held)

    async def _isolate(self, batch: list[_Cut], error: Unstorable) -> None:
        """The database refused the batch because of one task's entries: only that one may fail."""
        if len(batch) == 1:
            _log.warning("the journal entries of task %s cannot be stored: %s", batch[0].tail.task_id, error)
            _break(batch, error)
            return
        middle = len(batch) // 2
        await self._write(batch[:middle])
        await self._write(batch[middle:])


class _Cut:
    """A part and the tail it was cut off."""

    __slots__ = ("added", "part", "tail")

    def __init__(self, tail: Tail, part: JournalPart) -> None:
        self.tail, self.part, self.added = tail, part, tail.added


def _batches(tails: list[Tail]) -> list[list[_Cut]]:
    batches: list[list[_Cut]] = []
    events = size = 0
    for tail in tails:
        tail_size, part = tail.size, tail.cut()
        if part is None:
            continue
        events += len(part.events)
        size += tail_size
        full = events > MAX_BATCH_EVENTS or size > MAX_BATCH_BYTES
        if not batches or full or len(batches[-1]) >= MAX_BATCH_TASKS:
            batches.append([])
            events, size = len(part.events), tail_size
        batches[-1].append(_Cut(tail, part))
    return batches


def _count(batch: list[_Cut], held: set[int], seconds: float) -> None:
    written = [cut.part for cut in batch if cut.part.task_id in held]
    events = sum(len(part.events) for part in written)
    metrics.events_appended.inc(events)
    metrics.flush_events.observe(events)
    metrics.flush_seconds.observe(seconds)
    metrics.fenced_writes.inc(len(batch) - len(written))
    for part in written:
        if part.change is not None and part.change.state in _ENDINGS:
            _ENDINGS[part.change.state].inc()


def _settle(batch: list[_Cut], held: set[int]) -> None:
    for cut in batch:
        if cut.part.task_id in held:
            cut.tail.committed(cut.added)
        else:
            cut.tail.break_off(lost_lease())


def _break(batch: list[_Cut], error: Exception) -> None:
    for cut in batch:
        cut.tail.break_off(error)
