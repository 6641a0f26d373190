"""How a worker comes by programs: a fault of the host passes, and a compilation holds up nobody else."""

from __future__ import annotations

import asyncio
import errno
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from wasmtime import component as wc

from durable import config
from durable.wasm.compile import compile_within
from tests.engine.database import Database
from tests.engine.test_containment import launch_bytes
from tests.wasm.bombs import component
from tests.wasm.killed_compiler import killed_python
from workers import programs
from workers.worker import Worker

FAULTS = {
    "threads": RuntimeError("can't start new thread"),
    "memory": MemoryError(),
    "descriptors": OSError(errno.EMFILE, "Too many open files"),
}


#: Compiled in a process of its own.
HEAVY = component("(func (param i32) " + "(local.set 0 (i32.add (local.get 0) (i32.const 7)))" * 4000 + ")")


def settings(database: Database, folder: Path) -> config.Config:
    """With a cache of its own, in which nothing lies."""
    given = {"database_url": database.url, "cache_folder": str(folder), "poll_interval": "0.1"}
    return config.load(given, {})


async def ended(database: Database, task: int) -> str:
    return await asyncio.to_thread(database.wait_for_end, task)


def fail_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The first look into the cache, in its thread, meets this error."""
    faults, to_thread = [error], asyncio.to_thread

    async def failing(function: Any, *arguments: Any) -> Any:
        if faults and function.__name__ == "find":
            raise faults.pop()
        return await to_thread(function, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", failing)


@pytest.mark.parametrize("short_of", FAULTS)
def test_a_host_that_is_short_of_something_for_a_moment_fails_no_task(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_of: str
) -> None:
    fail_once(monkeypatch, FAULTS[short_of])

    async def application() -> None:
        async with Worker(settings(database, tmp_path)):
            for _ in range(2):
                task = database.launch("noop")
                assert await ended(database, task) == "complete", database.failure(task)

    asyncio.run(application())
    leases = database.query("SELECT lease FROM durable.task ORDER BY id")
    assert leases == [(2,), (1,)], "the first one was put back once"


def test_a_compiler_that_the_system_kills_fails_no_task(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It chooses the process with the most memory, whoever is to blame."""
    monkeypatch.setattr(programs, "AFTER_KILL", 0.1)
    monkeypatch.setattr(sys, "executable", str(killed_python(tmp_path, times=2)))
    task = launch_bytes(database, HEAVY, tmp_path)

    async def application() -> None:
        async with Worker(settings(database, tmp_path)):
            assert await ended(database, task) == "complete", database.failure(task)

    asyncio.run(application())
    assert database.value("SELECT lease FROM durable.task") == 3, "it was put back twice"


def test_tasks_of_a_program_whose_compiler_is_always_killed_are_put_aside_until_there_is_memory(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "AFTER_KILL", 0.1)
    monkeypatch.setattr(sys, "executable", str(killed_python(tmp_path, times=programs.MAX_KILLS)))
    task = launch_bytes(database, HEAVY, tmp_path)

    async def application() -> None:
        async with Worker(settings(database, tmp_path)):
            await asyncio.to_thread(database.wait_for_state, task, "quarantined")
            assert f"killed, as the system does when it has no memory left: {programs.MAX_KILLS} times in a row" in (
                database.failure(task)
            )
            database.query("UPDATE durable.task SET state = 'ready'")
            assert await ended(database, task) == "complete", database.failure(task)

    asyncio.run(application())


def test_an_error_that_nobody_foresaw_fails_one_task_and_no_later_one(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(monkeypatch, ValueError("a surprise"))

    async def application() -> None:
        async with Worker(settings(database, tmp_path)):
            tasks = [database.launch("noop")]
            assert await ended(database, tasks[0]) == "failed"
            assert "a surprise" in database.failure(tasks[0])
            tasks.append(database.launch("noop"))
            assert await ended(database, tasks[1]) == "complete", database.failure(tasks[1])

    asyncio.run(application())


def test_a_program_that_was_compiled_before_does_not_wait_for_one_that_is_compiled_now(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiling, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> wc.Component:
        compiling.set()
        assert go_on.wait(60)
        return compile_within(*arguments)

    async def application() -> None:
        async with Worker(settings(database, tmp_path)):
            assert await ended(database, database.launch("noop")) == "complete"
        monkeypatch.setattr("workers.programs.compile_within", slowly)
        async with Worker(settings(database, tmp_path)):
            slow = database.launch("ten-events")
            try:
                assert await asyncio.to_thread(compiling.wait, 30)
                assert await ended(database, database.launch("noop")) == "complete"
                assert database.state(slow) == "active"
            finally:
                go_on.set()
            assert await ended(database, slow) == "complete"

    asyncio.run(application())
