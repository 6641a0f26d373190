"""The claim loop: keeps the slots of a worker filled, at once after a hint, otherwise at the poll interval."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from durable import metrics
from durable.config import Config
from durable.failpoints import passing
from durable.model import ClaimedTask
from durable.store.leases import Claim, LeaseStore
from durable.timing import DatabaseClock

#: Tasks taken with one statement: enough to amortise it, few enough to leave some to the other workers.
CLAIM_BATCH = 100


class ClaimLoop:
    """Runs as one asyncio task until it is cancelled. Raises what the store raises.

    `lacking` are the programs whose tasks are left to others; it may grow.
    """

    def __init__(
        self, config: Config, store: LeaseStore, worker_id: int, clock: DatabaseClock,
        running: Callable[[], int], start: Callable[[ClaimedTask], None], lacking: Collection[int] = (),
    ) -> None:  # fmt: skip
        self._config = config
        self._store = store
        self._worker_id = worker_id
        self._clock = clock
        self._running = running
        self._start = start
        self._lacking = lacking
        self._look = asyncio.Event()
        self._full = False

    def hint(self) -> None:
        """Tasks may be ready."""
        self._look.set()

    def slot_freed(self) -> None:
        if self._full:
            self._look.set()

    async def run(self) -> None:
        """Claim until there is nothing more to claim or no room, then wait. Returns only by an exception."""
        while True:
            self._look.clear()
            pause = await self.claim_once()
            if pause > 0:
                try:
                    async with asyncio.timeout(pause):
                        await self._look.wait()
                except TimeoutError:
                    pass

    async def claim_once(self) -> float:
        """One claim; the seconds to wait before the next one, 0 when there may be more."""
        limit = min(CLAIM_BATCH, self._config.max_tasks - self._running())
        self._full = limit <= 0
        if self._full:
            return self._config.poll_interval
        claim = await self._store.claim(self._worker_id, limit, self._lacking)
        self._clock.learn(claim.now)
        if claim.tasks:
            passing("claim.done")
            _count(claim)
        for task in claim.tasks:
            self._start(task)
        if len(claim.tasks) == limit:
            # Let the new ones run first: a worker that only claims takes more than its share.
            await asyncio.sleep(0)
            return 0.0
        timer = self._config.poll_interval if claim.next_timer is None else max(claim.next_timer, 0.001)
        return min(self._config.poll_interval, timer)


def _count(claim: Claim) -> None:
    metrics.tasks_claimed.inc(len(claim.tasks))
    metrics.claim_latency.observe_all(claim.waits)
    metrics.timer_lag.observe_all(claim.lags)
