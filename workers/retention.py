"""Deletes ended tasks and unused programs after their time; every worker does it, once a minute."""

from __future__ import annotations

import asyncio
import logging
import random

import psycopg

from durable.config import Config
from durable.journal.faults import JournalUnavailable
from durable.store.problems import describe
from durable.store.retention import RetentionStore
from durable.store.session import Session

_log = logging.getLogger("durable.retention")
_INTERVAL = 60.0
# A reclaim waits for no longer than this, beside what it takes itself.
_LONGEST = 1.0


class Retention:
    """Runs as one asyncio task until it is cancelled."""

    def __init__(self, config: Config, session: Session, worker_id: int) -> None:
        self._config = config
        self._begins_after = random.Random(worker_id).uniform(0, _INTERVAL)  # not all of a fleet at the same moment
        self._store = RetentionStore(session, min(_LONGEST, config.heartbeat_timeout / 10))

    async def run(self) -> None:
        await asyncio.sleep(self._begins_after)
        while True:
            try:
                await self.apply()
            except (JournalUnavailable, psycopg.Error) as error:
                reason = describe(error) if isinstance(error, psycopg.Error) else error
                _log.warning("what is older than cleanup_age could not be deleted, tried again soon: %s", reason)
            await asyncio.sleep(_INTERVAL)

    async def apply(self) -> None:
        """Delete all that is old enough. Raises what the store raises; what was deleted until then stays so."""
        age, limit = self._config.cleanup_age, self._config.cleanup_batch_limit
        while await self._store.delete_ended_tasks(age, limit) or await self._store.shorten_ended_task(age):
            pass
        while await self._store.delete_unused_programs(self._config.wasm_entry_ttl):
            pass
