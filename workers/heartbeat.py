"""Renews the leases of a worker, and knows until when the worker may believe in them."""

from __future__ import annotations

import asyncio
import logging

import psycopg

from durable import metrics
from durable.config import Config
from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable
from durable.store.leases import LeaseStore
from durable.timing import DatabaseClock
from workers.turns import Turns

_log = logging.getLogger("durable.heartbeat")


class LeaseLost(Exception):
    """The worker was presumed dead, or has to presume that it was: its leases are over."""


class Heartbeat:
    """Runs as one asyncio task; ends by raising LeaseLost.

    A worker believes in its leases until its last successful heartbeat + heartbeat_timeout - margin, by its own
    monotonic clock, which is that of its loop, counted from before the heartbeat was sent.
    """

    def __init__(self, config: Config, store: LeaseStore, worker_id: int, clock: DatabaseClock, turns: Turns) -> None:
        self._config = config
        self._store = store
        self._worker_id = worker_id
        self._clock = clock
        self._turns = turns
        self._believes = config.heartbeat_timeout * 0.9
        self._time = asyncio.get_running_loop().time
        self.trusted_until = self._time() + self._believes
        self._is_late = False

    async def run(self) -> None:
        interval = self._config.heartbeat_interval
        while True:
            renewed = await self._beat()
            pause = interval if renewed else min(interval / 4, 1.0)
            await asyncio.sleep(min(pause, max(self.trusted_until - self._time(), 0.0)))
            if self._time() >= self.trusted_until:
                raise LeaseLost("no heartbeat reached the database for too long")

    async def _beat(self) -> bool:
        sent, asked_at = self._time(), self._clock.monotonic()
        try:
            renewal = await self._store.heartbeat(self._worker_id, self._config.heartbeat_timeout)
        except (JournalUnavailable, psycopg.Error) as error:
            if not self._is_late:
                _log.warning("the heartbeat did not reach the database; trying again: %s", error)
            self._is_late = True
            return False
        if renewal is None:
            raise LeaseLost("the worker was presumed dead and its tasks were taken back")
        self._is_late = False
        passing("heartbeat.done")
        self._clock.learn(renewal.now, asked_at)
        self._turns.learn(renewal.position, renewal.workers)
        metrics.worker_heartbeat.set(renewal.now)
        self.trusted_until = sent + self._believes
        return True
