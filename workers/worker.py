"""A worker: claims tasks, runs them, hands them back. One per supervised process, or inside an application."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableSequence, Sequence
from types import TracebackType

import psycopg

from durable.config import Config
from durable.errors import ConfigError, DatabaseUnavailable
from durable.host.functions import host_functions
from durable.journal.faults import JournalUnavailable
from durable.model import Culprit
from durable.net.client import client_of
from durable.plugins.installed import installed
from durable.plugins.loaded import LoadedPlugins
from durable.plugins.plugin import Plugin
from durable.runner import Runner
from durable.store.guest_pool import GuestPool
from durable.store.leases import LeaseStore
from durable.store.migrations import check_schema_async
from durable.store.problems import describe, is_worlds_fault
from durable.store.session import check_reachable
from durable.timing import DatabaseClock
from durable.wasm.cache import ComponentCache
from durable.wasm.compile import CompileLimits
from durable.wasm.engine import EpochTicker, new_engine
from durable.wasm.fiber import GuestLimits
from durable.wasm.linker import Linker
from durable.wasm.world import host_world
from workers.heartbeat import LeaseLost
from workers.identity import this_process
from workers.programs import Programs
from workers.restraint import Restraint
from workers.sessions import Sessions
from workers.shift import Shift
from workers.stack_dump import TaskInMemory

_log = logging.getLogger("durable.worker")
_REGISTER_AGAIN = 0.5


class Worker:
    """Runs tasks on the current asyncio loop.

        async with Worker(config):
            ...

    Leaving the block drains the worker: it stops claiming, stops its tasks where they stand and hands them back, so
    that another worker goes on with them at once.

    `plugins` are what its tasks can call besides the host's own functions; None means the installed ones that the
    configuration names. `on_registered` is called with the worker's id whenever it is about to get one (its row is not
    committed yet): at the start, and again after its leases ran out, for instance because the database was away for
    longer than heartbeat_timeout.
    `busy_cells` are for a parent process that wants to know what this one was computing for when it died, see
    durable.wasm.busy. `has_handed_over` tells after a drain whether everything was handed back: without the database
    it cannot be.
    """

    def __init__(
        self,
        config: Config,
        *,
        on_registered: Callable[[int], None] | None = None,
        busy_cells: MutableSequence[int] | None = None,
        plugins: Sequence[Plugin] | None = None,
    ) -> None:
        if config.database_url is None:
            raise ConfigError("a worker needs a database: set database_url")
        self._config = config
        self._sessions = Sessions(config.database_url, config)
        self._guests = GuestPool(
            config.guest_database_url or config.database_url,
            connections=config.guest_sql_connections,
            timeout=config.guest_sql_timeout,
            idle=config.heartbeat_timeout * 0.8,
        )
        self._http = client_of(config)
        self._identity = this_process(supervised=busy_cells is not None)
        self._monotonic_ns = time.monotonic_ns
        self._restraint = Restraint(config.heartbeat_interval, lambda: asyncio.get_running_loop().time())
        self._on_registered = on_registered
        self._busy_cells = busy_cells
        self._shift: Shift | None = None
        self._draining = False
        self.has_handed_over = False
        self._main: asyncio.Task[None] | None = None
        self._ticker: EpochTicker | None = None
        self._wanted_plugins = plugins
        self._plugins: LoadedPlugins | None = None

    @property
    def task_count(self) -> int:
        """Tasks in memory now."""
        return 0 if self._shift is None else len(self._shift.running)

    def tasks_in_memory(self) -> list[TaskInMemory]:
        """What each of them is at."""
        return [] if self._shift is None else self._shift.running.describe()

    async def start(self) -> None:
        """Connect, register, and start claiming.

        Raises DatabaseUnavailable when there is no way to the database, SchemaMismatch when its schema is not the one
        that this version works with, ConfigError when a plugin cannot be loaded, TryAgain when one does not start.
        """
        try:
            await check_reachable(self._sessions.control)
            async with self._sessions.control.use() as connection:
                await check_schema_async(connection)
            await self._prepare().start()
            await self._begin_shift()
        except JournalUnavailable as error:  # it went away since it was looked for
            await self._close()
            raise DatabaseUnavailable(f"the database cannot be reached: {error}") from None
        except psycopg.Error as error:
            await self._close()
            if not is_worlds_fault(error):
                raise
            raise DatabaseUnavailable(f"the database cannot be worked with: {describe(error)}") from None
        except BaseException:
            await self._close()
            raise
        self._main = asyncio.create_task(self._work(), name="durable worker")

    async def drain(self) -> None:
        """Stop claiming, stop the tasks, hand them back, and leave. Returns when it is done."""
        self._draining = True
        if self._shift is not None:
            self._shift.drain()
        await self.wait_closed()

    async def reclaim(self, worker_ids: Sequence[int], culprits: Sequence[Culprit] = ()) -> None:
        """Take back the tasks of workers that are known to be dead, now; the culprits are what they were computing for.

        Raises JournalUnavailable or psycopg.Error when the database cannot do it now.
        """
        if self._shift is None:
            raise JournalUnavailable("the worker is not registered at the moment")
        await self._shift.reclaim(worker_ids, culprits)

    async def wait_closed(self) -> None:
        """Return after a drain; raise if the worker failed for good."""
        if self._main is not None:
            await asyncio.shield(self._main)

    async def __aenter__(self) -> Worker:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _prepare(self) -> LoadedPlugins:
        config = self._config
        engine = new_engine(config.max_tasks)
        world = host_world(engine)
        functions = host_functions(world)
        wanted = installed(config.plugins) if self._wanted_plugins is None else self._wanted_plugins
        plugins = self._plugins = LoadedPlugins(wanted, world, engine)
        linker = Linker(engine, world, functions | plugins.functions)
        self._ticker = EpochTicker(engine, config.guest_cpu_slice)
        self._runner = Runner(
            linker,
            self._ticker,
            GuestLimits(memory=config.guest_memory_limit, cpu=config.guest_cpu_limit),
            self._busy_cells,
        )
        self._programs = Programs(
            engine, world, ComponentCache(engine, config.cache_folder), LeaseStore(self._sessions.reader),
            config.max_concurrent_compilations,
            CompileLimits(config.compile_timeout, config.compile_memory_limit),
        )  # fmt: skip
        return plugins

    async def _work(self) -> None:
        """One shift after the other, until a drain."""
        try:
            while (shift := self._shift) is not None:
                try:
                    await shift.run()
                    self._shift, self.has_handed_over = None, shift.has_handed_over
                except LeaseLost as reason:
                    _log.warning("all leases are over: %s", reason)
                    await self._begin_next_shift(shift.worker_id)
        finally:
            await self._close()

    async def _begin_next_shift(self, ended: int) -> None:
        """Register again, as soon as the database can be reached, and hand back what the ended shift had."""
        self._shift = None
        while not self._draining and self._shift is None:
            try:
                await self._begin_shift()
                await self.reclaim([ended])
            except (JournalUnavailable, psycopg.Error) as error:
                self._restraint.blames(error)
                _log.debug("cannot register: %s", error)
                await asyncio.sleep(_REGISTER_AGAIN)

    async def _begin_shift(self) -> None:
        registration = await LeaseStore(self._sessions.control).register(self._identity, self._on_registered)
        self._shift = Shift(
            self._config, self._sessions, registration, self._identity, self._runner, self._programs, self._guests,
            self._http, DatabaseClock(self._monotonic_ns), self._restraint,
        )  # fmt: skip
        if self._draining:
            self._shift.drain()
        _log.info("registered as worker %d", registration.id)

    async def _close(self) -> None:
        if self._ticker is not None:
            self._ticker.stop()
        if self._plugins is not None:
            await self._plugins.close()
        self._http.close()
        await self._guests.close()
        await self._sessions.close()
