"""What has to happen now and then, by whichever worker comes first: reclaim, late wake-ups."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Sequence

from durable import metrics
from durable.config import Config
from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable
from durable.model import Culprit
from durable.store.leases import LeaseStore, WorkerIdentity
from workers.identity import is_gone

_log = logging.getLogger("durable.sweeper")
_RECLAIM_BATCH = 1000
#: Sweeps from one look for tasks of nobody to the next: they are rare, and an idle worker asks for little.
_BETWEEN_LOOKS_FOR_STRANDED = 6
# A row may be locked by the last statement of the dead worker, which the server is still at; not for long.
_LOCKED_PAUSE = 0.1
_IDLE_ROUNDS = 20


class Sweeper:
    """Runs as one asyncio task until it is cancelled. Raises what the store raises."""

    def __init__(self, config: Config, store: LeaseStore, worker_id: int, identity: WorkerIdentity) -> None:
        self._config = config
        self._store = store
        self._worker_id = worker_id
        self._identity = identity

    async def run(self) -> None:
        jitter = random.Random(self._worker_id)
        for sweep in itertools.count():
            await self.reclaim_dead()
            if sweep % _BETWEEN_LOOKS_FOR_STRANDED == 0:
                await self.take_up_stranded()
            await self._store.wake_all_waiting()
            # Jitter, so that the workers of a fleet do not sweep at the same moment.
            await asyncio.sleep(self._config.heartbeat_interval * jitter.uniform(0.8, 1.2))

    async def reclaim_dead(self) -> int:
        """Take back the tasks of workers without heartbeat, and of processes of this host that are gone."""
        suspects = await self._store.suspects(self._worker_id, self._identity.boot, self._config.heartbeat_timeout)
        gone = [suspect.id for suspect in suspects if is_gone(suspect, self._identity)]
        expired = [suspect.id for suspect in suspects if suspect.expired and suspect.id not in gone]
        return (await self._reclaim(gone, expired, []))[0] if gone or expired else 0

    async def take_up_stranded(self) -> None:
        """Tasks whose worker's row was deleted by hand: nothing tells any more whose they were."""
        while number := await self._store.take_up_stranded(_RECLAIM_BATCH):
            metrics.tasks_reclaimed.inc(number)
            _log.warning("took back %d tasks of workers whose rows somebody has deleted", number)

    async def reclaim(self, worker_ids: Sequence[int], culprits: Sequence[Culprit]) -> int:
        """Take back the tasks of workers that are known to be dead. The number of tasks.

        Raises JournalUnavailable when a last statement of theirs goes on for so long that not all could be taken.
        """
        total, left = await self._reclaim(worker_ids, [], culprits)
        if left:
            raise JournalUnavailable(f"{left} of them are locked by what they sent before they died")
        return total

    async def _reclaim(
        self, gone: Sequence[int], expired: Sequence[int], culprits: Sequence[Culprit]
    ) -> tuple[int, int]:
        """The number of tasks, and how many of the workers are not done with."""
        total, left, idle_rounds = 0, 0, 0
        while idle_rounds < _IDLE_ROUNDS:
            reclaimed = await self._store.reclaim(
                gone, expired, culprits, self._config.heartbeat_timeout, _RECLAIM_BATCH
            )
            passing("reclaim.done")
            total += reclaimed.freed
            metrics.tasks_reclaimed.inc(reclaimed.freed)
            metrics.tasks_quarantined.inc(len(reclaimed.quarantined))
            for task_id in reclaimed.quarantined:
                _log.error(
                    "task %s is quarantined: it was running each time its worker died",
                    task_id,
                    extra={"task_id": task_id},
                )
            left = reclaimed.left
            if not left:
                break
            if not reclaimed.freed:
                idle_rounds += 1
                await asyncio.sleep(_LOCKED_PAUSE)
        if total:
            _log.info("took back %d tasks of dead workers %s", total, sorted({*gone, *expired}))
        return total, left
