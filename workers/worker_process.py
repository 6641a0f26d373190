"""What runs in a forked worker process: an event loop, one Worker, and the link to the supervisor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, MutableSequence, Sequence
from typing import Any, Protocol

import psycopg

from durable.config import Config
from durable.errors import DurableError
from durable.journal.faults import JournalUnavailable
from durable.model import Culprit
from workers.link import (
    Drain,
    Draining,
    Dump,
    Failed,
    Link,
    Message,
    Progress,
    Ready,
    Reclaim,
    Reclaimed,
    Registered,
    Stopped,
)
from workers.stack_dump import TaskInMemory, log_tasks_and_stacks

logger = logging.getLogger("durable.worker")

#: Seconds between two signs of life.
BEAT = 1.0
#: Seconds until a reclaim that failed is tried again.
RECLAIM_AGAIN = 1.0

#: Objects more than before after which the collector looks at the newest ones; Python's own is 700.
_ALLOCATIONS = 20_000


class WorkerLike(Protocol):
    """What is used here of workers.worker.Worker; its documentation is there."""

    @property
    def task_count(self) -> int: ...
    @property
    def has_handed_over(self) -> bool: ...
    def tasks_in_memory(self) -> Sequence[TaskInMemory]: ...
    async def start(self) -> None: ...
    async def drain(self) -> None: ...
    async def reclaim(self, worker_ids: Sequence[int], culprits: Sequence[Culprit] = ()) -> None: ...
    async def wait_closed(self) -> None: ...


class MakeWorker(Protocol):
    """The class Worker, or what a test has in its place."""

    def __call__(
        self, config: Config, *, on_registered: Callable[[int], None], busy_cells: MutableSequence[int]
    ) -> WorkerLike: ...


def run(config: Config, link: Link, make_worker: MakeWorker, busy_cells: MutableSequence[int]) -> int:
    """Run a worker until it has drained, on request of the supervisor or by SIGTERM. Returns the exit status:
    0, or that of the DurableError that ended it; other exceptions are raised. When the supervisor is gone the
    process exits at once.
    """
    process = _WorkerProcess(config, link, make_worker, busy_cells)
    # Not asyncio.run: it would wait for the threads of the executor, and the process ends right after this
    # anyway.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(process.main())
    except DurableError as error:
        link.send(Failed(str(error)))
        return error.exit_code
    except Exception as error:
        link.send(Failed(f"{type(error).__name__}: {error}"))
        raise
    return 0


class _WorkerProcess:
    def __init__(self, config: Config, link: Link, make_worker: MakeWorker, busy_cells: MutableSequence[int]) -> None:
        self._config = config
        self._link = link
        self._is_registered = False
        self._drain_wanted = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._reclaims: set[asyncio.Task[None]] = set()
        self._make_worker = make_worker
        self._busy_cells = busy_cells

    async def main(self) -> None:
        self._listen()
        self._worker = self._make_worker(self._config, on_registered=self._registered, busy_cells=self._busy_cells)
        if not await self._has_started():
            return
        _calm_collector()
        self._link.send(Ready())
        self._keep(self._beat(), self._background)
        await self._closed()
        await self._last_reclaims()
        if self._worker.has_handed_over:
            self._link.send(Stopped())

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._link.fileno(), self._heed_supervisor)
        loop.add_signal_handler(signal.SIGTERM, self._want_drain)

    def _heed_supervisor(self) -> None:
        for message in self._link.receive():
            self._heed(message)
        if self._link.ended:
            os._exit(1)

    def _heed(self, message: Message) -> None:
        match message:
            case Drain():
                self._want_drain()
            case Reclaim(worker_ids, culprits):
                self._keep(self._reclaim(worker_ids, culprits), self._reclaims)
            case Dump():
                log_tasks_and_stacks(self._worker.tasks_in_memory())

    def _want_drain(self) -> None:
        if not self._drain_wanted.is_set():
            self._drain_wanted.set()
            self._link.send(Draining())

    def _registered(self, worker_id: int) -> None:
        self._is_registered = True
        self._link.send(Registered(worker_id))

    async def _has_started(self) -> bool:
        """False when a drain was wanted before there was anything to drain: then nobody waits for a
        connection.
        """
        starting = asyncio.ensure_future(self._worker.start())
        wanted = asyncio.ensure_future(self._drain_wanted.wait())
        await asyncio.wait({starting, wanted}, return_when=asyncio.FIRST_COMPLETED)
        wanted.cancel()
        if not starting.done() and not self._is_registered:
            return False
        await starting
        return True

    async def _closed(self) -> None:
        closed = asyncio.ensure_future(self._worker.wait_closed())
        drained = asyncio.ensure_future(self._drain_when_wanted())
        await asyncio.wait({closed, drained}, return_when=asyncio.FIRST_COMPLETED)
        if self._drain_wanted.is_set():
            await drained
        await closed

    async def _drain_when_wanted(self) -> None:
        await self._drain_wanted.wait()
        await self._worker.drain()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if not self._link.is_clogged:
                self._link.send(Progress(self._worker.task_count))

    async def _reclaim(self, worker_ids: tuple[int, ...], culprits: tuple[Culprit, ...]) -> None:
        """Until it works, or the rows have been without heartbeat for so long that every worker's sweep takes
        them. A worker that drains tries once: the supervisor asks another one as soon as this one is gone.
        """
        try:
            async with asyncio.timeout(self._config.heartbeat_timeout):
                while not await self._could_reclaim(worker_ids, culprits):
                    if self._drain_wanted.is_set():
                        return
                    await asyncio.sleep(RECLAIM_AGAIN)
        except TimeoutError:
            logger.warning("could not reclaim the tasks of workers %s; left to the sweep", list(worker_ids))
        self._link.send(Reclaimed(worker_ids))

    async def _last_reclaims(self) -> None:
        if self._reclaims:
            await asyncio.wait(self._reclaims, timeout=RECLAIM_AGAIN)

    async def _could_reclaim(self, worker_ids: tuple[int, ...], culprits: tuple[Culprit, ...]) -> bool:
        try:
            await self._worker.reclaim(worker_ids, culprits)
        except (DurableError, JournalUnavailable, psycopg.Error) as error:
            logger.warning("cannot reclaim the tasks of workers %s yet: %s", list(worker_ids), error)
            return False
        except Exception:
            # Must not end this worker: the next one would be asked the same, and the one after it.
            logger.exception("cannot reclaim the tasks of workers %s", list(worker_ids))
            return False
        return True

    def _keep(self, coroutine: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        """Run it; the loop alone holds only a weak reference."""
        task = asyncio.ensure_future(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def _calm_collector() -> None:
    """What was made so far lives as long as the process: the cycle collector need not walk it again and again.

    Under load a task allocates some hundred objects that live until its commit. With the usual threshold they would be
    walked several times each, for cycles that hardly exist here.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 10, 10)
