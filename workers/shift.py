"""One registration of a worker: from its row in `durable.worker` until it is drained or its leases are over.

A worker that was presumed dead begins a new shift under a new id; nothing of the old one is used again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import psycopg

from durable import metrics
from durable.config import Config
from durable.execution.database import GuestDatabase
from durable.execution.group_commit import GroupCommit
from durable.execution.http import GuestHttp
from durable.failpoints import passing
from durable.journal.faults import JournalUnavailable
from durable.model import Culprit
from durable.net.client import Client
from durable.runner import Runner
from durable.store.guest_pool import GuestPool
from durable.store.journal import JournalReader, JournalStore
from durable.store.leases import LeaseStore, Registration, WorkerIdentity
from durable.store.problems import describe
from durable.timing import DatabaseClock
from workers.claims import ClaimLoop
from workers.heartbeat import Heartbeat, LeaseLost
from workers.programs import Programs
from workers.restraint import Restraint
from workers.retention import Retention
from workers.running import RunningTasks
from workers.sessions import Sessions
from workers.sweeper import Sweeper
from workers.turns import Turns

_log = logging.getLogger("durable.worker")
_RETRY_AFTER = 0.2
T = TypeVar("T")


class Shift:
    """All loops of one registered worker. `run` returns after `drain`, or raises LeaseLost with all guests dropped."""

    def __init__(
        self, config: Config, sessions: Sessions, registration: Registration, identity: WorkerIdentity, runner: Runner,
        programs: Programs, guests: GuestPool, http: Client, clock: DatabaseClock,
        restraint: Restraint,
    ) -> None:  # fmt: skip
        self._config = config
        self._restraint = restraint
        self._leases = LeaseStore(sessions.control)
        self.worker_id = worker_id = registration.id
        self._time = asyncio.get_running_loop().time
        self._writer = GroupCommit(JournalStore(sessions.writer, worker_id), config.flush_interval)
        self._reader = JournalReader(sessions.reader)
        self.running = RunningTasks(
            config,
            runner,
            programs,
            self._writer,
            self._reader,
            clock,
            lambda: self._claims.slot_freed(),
            GuestDatabase(guests, registration.secret),
            GuestHttp(http, self._is_trusted),
            self._is_trusted,
            restraint,
        )
        self._turns = Turns()
        self._claims = ClaimLoop(
            config, self._leases, worker_id, clock, self._turns, lambda: len(self.running), self.running.start,
            lambda: self.running.known, restraint, programs.lacking,
        )  # fmt: skip
        self._heartbeat = Heartbeat(config, self._leases, worker_id, clock, self._turns)
        self._sweeper = Sweeper(config, LeaseStore(sessions.sweep), worker_id, identity)
        self._retention = Retention(config, sessions.sweep, worker_id)
        self._listener = sessions.listener(self._task_changed, self._notified)
        self._maybe_waiting: set[int] = set()
        self._maybe_lost: set[int] = set()
        self._leases_checked = self._time()
        self._draining = asyncio.Event()
        self._drained = False
        self.has_handed_over = False  # the tasks and the row: nobody has to take anything back

    async def run(self) -> None:
        writer = asyncio.create_task(self._writer.run(), name="journal writer")
        loops = [
            asyncio.create_task(loop, name=name)
            for name, loop in (
                ("heartbeat", self._heartbeat.run()),
                ("claims", self._forever(self._claims.run)),
                ("listener", self._listener.run()),
                ("sweeper", self._forever(self._sweeper.run)),
                ("poll", self._forever(self._poll)),
                ("retention", self._retention.run()),
            )
        ]
        drain = asyncio.create_task(self._draining.wait(), name="drain")
        metrics.worker_slots.inc(self._config.max_tasks)
        try:
            done, _ = await asyncio.wait([writer, drain, *loops], return_when=asyncio.FIRST_COMPLETED)
            if drain in done:
                await _cancel(loops[1:])  # the heartbeat goes on until everything is handed back
                await self._hand_over(writer)
            for ended in done - {drain}:
                ended.result()  # raises
        finally:
            await _cancel([drain, *loops])
            if not self._drained:
                await self.running.abandon()
            await _cancel([writer])
            metrics.worker_slots.dec(self._config.max_tasks)

    def drain(self) -> None:
        """Stop claiming, stop the tasks, hand them back; `run` returns when it is done."""
        self._draining.set()

    async def reclaim(self, worker_ids: Sequence[int], culprits: Sequence[Culprit]) -> None:
        await self._sweeper.reclaim(worker_ids, culprits)

    def _is_trusted(self) -> bool:
        """Whether the leases are still this worker's own. Asked in other threads, too."""
        return self._time() < self._heartbeat.trusted_until

    # -- loops -------------------------------------------------------------------------------------------------------
    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        """Go on after every fault of the database, with a pause; only the end of the leases ends a shift."""
        while True:
            try:
                await self._give_back()
                await loop()
            except psycopg.errors.ForeignKeyViolation:
                raise LeaseLost("the worker's row is gone") from None
            except (JournalUnavailable, psycopg.Error) as error:
                self._tell(error)
            await asyncio.sleep(max(_RETRY_AFTER, self._restraint.seconds_left()))

    def _tell(self, error: JournalUnavailable | psycopg.Error) -> None:
        if self._restraint.blames(error):
            return
        if isinstance(error, psycopg.Error):
            _log.warning("a statement failed: %s", describe(error))
        else:
            _log.debug("the database is not available: %s", error)

    async def _poll(self) -> None:
        """What lies behind lost hints: messages for waiting tasks, and tasks to be handed back."""
        while True:
            await asyncio.sleep(self._config.poll_interval)
            await self._give_back()
            waiting = self.running.waiting()
            for task_id in await self._reader.notified(waiting) if waiting else ():
                self.running.hint(task_id)
            hinted, self._maybe_waiting = self._maybe_waiting, set()
            if hinted:
                await self._leases.wake_waiting(list(hinted))
            await self._drop_lost()

    async def _drop_lost(self) -> None:
        """Guests whose tasks were cancelled, paused or taken over go on in vain. Now and then without a hint, too."""
        hinted, self._maybe_lost = self._maybe_lost, set()
        now = self._time()
        if now - self._leases_checked >= self._config.heartbeat_interval:
            self._leases_checked = now
            leases = self.running.leases()
        else:
            leases = self.running.leases(hinted)
        if leases:
            self.running.drop(await self._leases.lost(self.worker_id, leases))

    def _task_changed(self, task_id: int | None) -> None:
        self._claims.hint(task_id)
        if task_id is not None and task_id in self.running:
            self._maybe_lost.add(task_id)

    def _notified(self, task_id: int) -> None:
        self.running.hint(task_id)
        # It may be suspended just now, too late for the sender's trigger to see it, also when it still seems to run
        # here: look again in a moment.
        if task_id in self.running or self._turns.concern_us(task_id):
            self._maybe_waiting.add(task_id)

    # -- handing back ------------------------------------------------------------------------------------------------
    async def _give_back(self) -> None:
        leases, self.running.put_back = self.running.put_back, []
        try:
            if leases:
                passing("release.before")
                await self._leases.release(self.worker_id, leases)
        except BaseException:
            self.running.put_back.extend(leases)
            raise

    async def _hand_over(self, writer: asyncio.Task[None]) -> None:
        """Stop before release: no lease is given back while code may still act on it.

        Whoever is between two steps goes at once. A transaction may end first: what it did outside need not be done
        again by the next owner.
        """
        await self._quietly(self._leases.announce_drain(self.worker_id))
        await self.running.stop_between_steps()
        await self._quietly(self._give_back())
        await self.running.stop(grace=self._config.drain_timeout / 2)
        self._drained = True
        self._writer.close()
        await writer
        await self._quietly(self._give_back())
        await self._quietly(self._leases.release_unclaimed(self.worker_id, ()))
        self.has_handed_over = bool(await self._quietly(self._leases.unregister(self.worker_id)))

    async def _quietly(self, statement: Awaitable[T]) -> T | None:
        """Without the database a drain goes on: a supervisor, or the end of the heartbeat, tells the others."""
        with contextlib.suppress(JournalUnavailable, psycopg.Error):
            return await statement
        return None


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
