"""A worker inside an application's own event loop, and what it does now and then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable import config
from durable.errors import DatabaseUnavailable, SchemaMismatch
from durable.wasm.engine import new_engine
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from workers.worker import Worker


def settings(database: Database, cache_folder: Path, **more: object) -> config.Config:
    return config.load({"database_url": database.url, "cache_folder": str(cache_folder), **more}, {})


async def until(database: Database, task: int, state: str) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(database.state, task) != state:  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.02)


def test_an_application_runs_tasks_in_its_own_loop(database: Database, cache_folder: Path) -> None:
    async def application() -> list[int]:
        async with Worker(settings(database, cache_folder)) as worker:
            tasks = [database.launch("hello-world") for _ in range(20)]
            for task in tasks:
                await until(database, task, "complete")
            async with asyncio.timeout(10):
                while worker.task_count:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            return tasks

    for task in asyncio.run(application()):
        assert database.log(task) == "Hello, hello-world!\n"
    assert database.query("SELECT * FROM durable.worker") == []


def test_a_worker_has_max_tasks_and_the_next_one_waits_for_a_place(database: Database, cache_folder: Path) -> None:
    async def application() -> None:
        async with Worker(settings(database, cache_folder, max_tasks=2)) as worker:
            tasks = [database.launch("collect", {"count": 1}) for _ in range(3)]
            for task in tasks[:2]:
                await until(database, task, "active")
            await asyncio.sleep(0.5)  # in which a third would be claimed
            assert (worker.task_count, database.state(tasks[2])) == (2, "ready")
            database.notify(tasks[0], "go")
            await until(database, tasks[2], "active")
            for task in tasks[1:]:
                database.notify(task, "go")
                await until(database, task, "complete")

    asyncio.run(application())


def test_a_task_for_whose_guest_there_is_no_room_begins_again_later(
    database: Database, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with programs that have more tables than the pool has on the average."""
    monkeypatch.setattr("workers.worker.new_engine", lambda _guests: new_engine(2))

    async def application() -> list[int]:
        async with Worker(settings(database, cache_folder)):
            tasks = [database.launch("sleep-n-go", {"count": 3, "seconds": 0.2}) for _ in range(5)]
            for task in tasks:
                await until(database, task, "complete")
            return tasks

    for task in asyncio.run(application()):
        database.assert_dense(task)
        assert database.log(task).splitlines() == ["1 of 3", "2 of 3", "3 of 3"]
    assert database.value("SELECT max(lease) FROM durable.task") > 1, "there was room for all"


def test_leaving_the_block_hands_waiting_tasks_back(database: Database, cache_folder: Path) -> None:
    async def application() -> int:
        async with Worker(settings(database, cache_folder)):
            task = database.launch("sleep-n-go", {"count": 3, "seconds": 0.5})
            await until(database, task, "active")
            return task

    task = asyncio.run(application())
    assert database.state(task) == "ready"


def test_a_worker_that_was_presumed_dead_registers_again(database: Database, cache_folder: Path) -> None:
    registered: list[int] = []

    async def application() -> None:
        config = settings(database, cache_folder, heartbeat_interval=0.2, heartbeat_timeout=1.0)
        async with Worker(config, on_registered=registered.append):
            task = database.launch("sleep-n-go", {"count": 5, "seconds": 0.3})
            await until(database, task, "active")
            # As the sweep of another worker does with a worker whose heartbeat is too old.
            database.query("UPDATE durable.task SET state = 'ready', running_on = NULL WHERE id = %s", task)
            database.query("DELETE FROM durable.worker")
            await until(database, task, "complete")
            database.assert_dense(task)
            assert database.log(task).splitlines() == [f"{n} of 5" for n in range(1, 6)]

    asyncio.run(application())
    assert len(registered) == 2


def test_tasks_go_on_when_somebody_deletes_the_row_of_their_worker(database: Database, cache_folder: Path) -> None:
    """What such a row had was nobody's then, and no worker asks for what is nobody's."""

    async def application() -> None:
        config = settings(database, cache_folder, heartbeat_interval=0.2, heartbeat_timeout=1.0)
        async with Worker(config):
            task = database.launch("sleep-n-go", {"count": 5, "seconds": 0.3})
            await until(database, task, "active")
            database.query("DELETE FROM durable.worker")
            await until(database, task, "complete")
            database.assert_dense(task)
            assert database.log(task).splitlines() == [f"{n} of 5" for n in range(1, 6)]
            assert database.value("SELECT lease FROM durable.task") == 2

    asyncio.run(application())


def test_a_worker_says_what_is_wrong_with_its_database(database: Database, cache_folder: Path, tmp_path: Path) -> None:
    async def start(url: str) -> None:
        await Worker(config.load({"database_url": url, "cache_folder": str(cache_folder)}, {})).start()

    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        asyncio.run(start(f"postgresql://x@/x?host={tmp_path}"))
    database.query("UPDATE durable.migration SET version = version + 100, works_from = version + 100")
    with pytest.raises(SchemaMismatch, match="upgrade durable"):
        asyncio.run(start(database.url))


def test_a_history_is_read_in_few_queries(database: Database, start_service: StartService) -> None:
    """10,000 events in at most 12 queries, counted by the server."""
    start_service(workers=1)
    task = database.launch("ten-events", {"n": 10_000})
    assert database.wait_for_end(task, 60) == "complete"
    database.query("SELECT pg_stat_reset()")
    scans = "SELECT idx_scan FROM pg_stat_user_tables WHERE schemaname = 'durable' AND relname = 'event'"
    database.query("UPDATE durable.task SET state = 'ready', completed_at = NULL WHERE id = %s", task)
    assert database.wait_for_end(task, 60) == "complete"
    wait_until(lambda: (database.value(scans) or 0) > 0, "statistics")
    # One look at the length of each claim besides.
    assert database.value(scans) <= 12 + 2
