"""The programs of a worker's tasks, compiled: in memory, else from the cache folder, else from the database."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from types import NoneType

import psycopg
import wasmtime
from wasmtime import component as wc

from durable.errors import InvalidComponent, MissingPlugin
from durable.store.leases import LeaseStore
from durable.store.problems import unavailable
from durable.wasm.cache import ComponentCache
from durable.wasm.compile import CompileLimits, CompilerKilled, compile_within
from durable.wasm.program import Program
from durable.wasm.traps import HostExhausted, is_of_the_host
from durable.wasm.world import World

_log = logging.getLogger("durable.worker")
_KEPT = 256
#: When its compiler was killed so many times in a row, the tasks of a program are quarantined.
MAX_KILLS = 5
#: Seconds until it is tried again, in which a host that is short of memory may get some.
AFTER_KILL = 10.0


class KilledTooOften(Exception):
    """The compiler of a program was killed again and again: here is not enough memory for it."""


class Programs:
    """Loads each program once, however many tasks ask at the same time."""

    def __init__(
        self, engine: wasmtime.Engine, world: World, cache: ComponentCache, store: LeaseStore, max_compilations: int,
        limits: CompileLimits,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._world = world
        self._cache = cache
        self._store = store
        self._limits = limits
        self._compilations = asyncio.Semaphore(max_compilations)
        self._loaded: OrderedDict[int, asyncio.Task[Program]] = OrderedDict()
        #: Programs that this worker lacks a plugin for. Its plugins stay what they are, so these do too.
        self.lacking: set[int] = set()
        self._hashes: dict[int, str] = {}
        self._kills: dict[int, int] = {}  # of the compiler, in a row

    def hash_of(self, program_id: int) -> str:
        """For people: "" until the program is being loaded."""
        return self._hashes.get(program_id, "")

    async def load(self, program_id: int) -> Program:
        """Raises InvalidComponent when this host cannot run the program, MissingPlugin when another one may,
        JournalUnavailable when it cannot be read, HostExhausted when the system refuses what loading it takes,
        KilledTooOften when it has done so MAX_KILLS times by killing the compiler.
        """
        loading = self._loaded.get(program_id)
        if loading is None:
            loading = asyncio.create_task(self._load(program_id), name=f"program {program_id}")
            self._loaded[program_id] = loading
            loading.add_done_callback(lambda ended: self._forget_unless_final(program_id, ended))
            self._forget_oldest()
        self._loaded.move_to_end(program_id)
        # A task that is stopped while it waits does not stop the loading for the others.
        return await asyncio.shield(loading)

    def _forget_unless_final(self, program_id: int, ended: asyncio.Task[Program]) -> None:
        """What is the program's own fault stays so; after every other error the next task tries again."""
        is_final = not ended.cancelled() and isinstance(ended.exception(), (InvalidComponent, NoneType))
        if not is_final and self._loaded.get(program_id) is ended:
            del self._loaded[program_id]

    def _forget_oldest(self) -> None:
        while len(self._loaded) > _KEPT:
            program_id, _ = self._loaded.popitem(last=False)
            self._hashes.pop(program_id, None)

    async def _load(self, program_id: int) -> Program:
        try:
            component = await self._component(program_id)
            self._kills.pop(program_id, None)
            return Program(component, self._engine, self._world)
        except MissingPlugin as error:
            self.lacking.add(program_id)
            _log.warning("tasks of program %s are left to other workers: %s", self.hash_of(program_id)[:12], error)
            raise
        except CompilerKilled as error:
            await self._note_kill(program_id, error)
            raise
        except psycopg.Error as error:
            raise unavailable(error) from None
        except Exception as error:
            if is_of_the_host(error):
                raise HostExhausted(f"the program cannot be loaded now: {str(error) or type(error).__name__}") from None
            raise

    async def _component(self, program_id: int) -> wc.Component:
        program_hash = self._hashes[program_id] = await self._store.program_hash(program_id)
        component = await asyncio.to_thread(self._cache.find, program_hash)
        if component is None:
            # Only what is to be compiled waits for its turn; the cache looks again, for others may have done it.
            async with self._compilations:
                component = await self._compile(program_id, program_hash)
        return component

    async def _compile(self, program_id: int, program_hash: str) -> wc.Component:
        wasm = await self._store.program_bytes(program_id)
        return await asyncio.to_thread(
            self._cache.load, program_hash, lambda: compile_within(self._engine, wasm, self._limits)
        )

    async def _note_kill(self, program_id: int, error: CompilerKilled) -> None:
        """A host that is short of memory looks like a program that is too large for it: patience has an end."""
        kills = self._kills[program_id] = self._kills.get(program_id, 0) + 1
        if kills >= MAX_KILLS:
            raise KilledTooOften(
                f"{error}: {kills} times in a row. Give the host more memory, or have compile_memory_limit "
                f"({self._limits.memory} bytes) end the compilation before the system does"
            ) from None
        await asyncio.sleep(AFTER_KILL)


__all__ = ["InvalidComponent", "Programs"]
