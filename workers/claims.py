"""The claim loop: keeps the slots of a worker filled, at once after a hint, otherwise at the poll interval."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from durable import metrics
from durable.config import Config
from durable.failpoints import passing
from durable.model import ClaimedTask
from durable.store.leases import Claim, LeaseStore
from durable.timing import DatabaseClock
from workers.restraint import Restraint
from workers.turns import Turns

_log = logging.getLogger("durable.worker")

#: Tasks taken with one statement: enough to amortise it, few enough to leave some to the other workers.
CLAIM_BATCH = 100


class ClaimLoop:
    """Runs as one asyncio task until it is cancelled. Raises what the store raises.

    `known` tells which leases, as (task, lease), the worker knows to have: all others were claimed by statements whose
    answers got lost. `restraint` says when to claim less. `lacking` are the programs whose tasks are left to others; it
    may grow.
    """

    def __init__(
        self, config: Config, store: LeaseStore, worker_id: int, clock: DatabaseClock, turns: Turns,
        running: Callable[[], int], start: Callable[[ClaimedTask], None],
        known: Callable[[], Sequence[tuple[int, int]]], restraint: Restraint, lacking: Collection[int] = (),
    ) -> None:  # fmt: skip
        self._config = config
        self._store = store
        self._worker_id = worker_id
        self._clock = clock
        self._turns = turns
        self._running = running
        self._start = start
        self._known = known
        self._restraint = restraint
        self._lacking = lacking
        self._check_at = 0.0
        self._look = asyncio.Event()
        self._full = False

    def hint(self, task_id: int | None) -> None:
        """This task may be ready; None: any may be."""
        if task_id is None or self._turns.concern_us(task_id):
            self._look.set()

    def slot_freed(self) -> None:
        if self._full:
            self._look.set()

    async def run(self) -> None:
        """Claim until there is nothing more to claim or no room, then wait. Returns only by an exception."""
        self._check_at = 0.0  # a fault brings us here: nobody knows what the last claim took
        while True:
            if (left := self._restraint.seconds_left()) > 0:
                await asyncio.sleep(left)
            self._look.clear()
            await self._hand_back_unclaimed()
            pause = await self.claim_once()
            if self._restraint.is_on:
                # Whatever is hinted at: tasks that were put back are ready again, which is a hint.
                await asyncio.sleep(min(self._config.poll_interval, self._config.heartbeat_interval))
            elif pause > 0:
                try:
                    async with asyncio.timeout(pause):
                        await self._look.wait()
                except TimeoutError:
                    pass

    async def _hand_back_unclaimed(self) -> None:
        """Also later, again and again: a claim that was given up may still have been on its way to the database."""
        now = asyncio.get_running_loop().time()
        if now < self._check_at:
            return
        number = await self._store.release_unclaimed(self._worker_id, self._known())
        if number:
            _log.warning("handed back %d tasks that were claimed by a statement whose answer got lost", number)
        self._check_at = now + self._config.heartbeat_interval

    async def claim_once(self) -> float:
        """One claim; the seconds to wait before the next one, 0 when there may be more."""
        limit = min(self._restraint.most(CLAIM_BATCH), self._config.max_tasks - self._running())
        self._full = limit <= 0
        if self._full:
            return self._config.poll_interval
        asked_at = self._clock.monotonic()
        claim = await self._store.claim(self._worker_id, limit, self._lacking)
        self._clock.learn(claim.now, asked_at)
        if claim.tasks:
            passing("claim.done")
            _count(claim)
        for task in claim.tasks:
            self._start(task)
        if len(claim.tasks) == limit:
            # Let the new ones run first: a worker that only claims takes more than its share.
            await asyncio.sleep(0)
            return 0.0
        if claim.next_timer is None or not self._turns.concern_us(int(claim.now + claim.next_timer)):
            return self._config.poll_interval
        return min(self._config.poll_interval, max(claim.next_timer, 0.001))


def _count(claim: Claim) -> None:
    metrics.tasks_claimed.inc(len(claim.tasks))
    metrics.claim_latency.observe_all(claim.waits)
    metrics.timer_lag.observe_all(claim.lags)
