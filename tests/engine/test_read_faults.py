"""A read that fails is never an answer: the task is put back and nothing is done that its journal may hold already."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from durable import config
from durable.store import journal, leases
from tests.engine.database import Database
from tests.golden.journals import FOLDER, Golden, load
from tests.golden.test_golden_journals import history, restore
from workers.worker import Worker

TASK = 100
#: How a read goes wrong: the database refuses it, or the connection breaks while it is under way.
FAULTS = {
    "refused": "SELECT 1 / 0",
    "broken": "SELECT pg_terminate_backend(pg_backend_pid())",
}
#: Each query that a running task depends on: the workflow that comes to it, and after how many recorded events.
QUERIES = {
    "events": ("draw-and-notify", 6),
    "task_states": ("draw-and-notify", 1),
    "pending_notifications": ("collect", 2),
    "task_data": ("draw-and-notify", 6),
    "program_hash": ("ten-events", 5),
    "program_bytes": ("ten-events", 5),
    "claim": ("ten-events", 5),
}


def statements(query: str) -> dict[str, str]:
    """The named queries that it is one of, in the module that runs it."""
    tables = (journal._QUERIES, leases._QUERIES, leases._SWEEP)
    return next(table._queries for table in tables if query in table)


def prepare(database: Database, golden: Golden, events: int) -> None:
    """A task in the middle of its way, with the notifications that it has not taken, and a receiver of its own."""
    restore(database, golden, golden.wasm, TASK)
    database.query("DELETE FROM durable.event WHERE task_id = %s AND index >= %s", TASK, events)
    database.query("DELETE FROM durable.log WHERE task_id = %s AND index >= %s", TASK, events)
    restore(database, load(FOLDER / "0.1.0" / "collect.json"), golden.wasm, TASK + 1)
    database.query("UPDATE durable.task SET data = %s WHERE id = %s AND name = 'draw-and-notify'",
                   f'{{"target": {TASK + 1}}}', TASK)  # fmt: skip
    for number in range(3):
        database.notify(TASK, "drawn", number)


async def until(what: str, database: Database, sql: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(database.value, sql):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within a minute") from None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("query", QUERIES)
def test_a_read_that_fails_makes_no_live_call_and_puts_the_task_back(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: str, fault: str
) -> None:
    workflow, recorded = QUERIES[query]
    prepare(database, load(FOLDER / "0.1.0" / f"{workflow}.json"), recorded)
    if query == "task_data":  # which is read when it is large
        database.query("UPDATE durable.task SET data = data || jsonb_build_object('', repeat('x', 99999))")
    before = history(database, TASK)
    sent = database.value("SELECT count(*) FROM durable.notification")
    settings = config.load(
        {"database_url": database.url, "cache_folder": str(tmp_path / "cache"), "poll_interval": 0.1}, {}
    )

    async def scenario() -> None:
        async with Worker(settings):
            with monkeypatch.context() as broken:
                broken.setitem(statements(query), query, FAULTS[fault])
                database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", TASK)
                if query == "claim":
                    await asyncio.sleep(1)  # nothing tells that a claim was tried
                else:
                    await until("it was put back and claimed again", database,
                                f"SELECT lease > 2 FROM durable.task WHERE id = {TASK}")  # fmt: skip
                assert history(database, TASK) == before, "a live call was recorded"
                assert database.value("SELECT count(*) FROM durable.notification") == sent
                assert database.state(TASK) in ("ready", "active")
            await until("its end", database, f"SELECT state = 'complete' FROM durable.task WHERE id = {TASK}")

    asyncio.run(scenario())
    assert history(database, TASK)[:recorded] == before
    database.assert_dense(TASK)


def test_a_journal_that_reads_as_empty_is_quarantined_and_not_begun_anew(
    database: Database, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(database, load(FOLDER / "0.1.0" / "draw-and-notify.json"), 6)
    before = history(database, TASK)
    settings = config.load({"database_url": database.url, "cache_folder": str(cache_folder)}, {})

    async def scenario() -> None:
        async with Worker(settings):
            monkeypatch.setitem(statements("events"), "events", "SELECT 1, 0, '', '' WHERE false")
            database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", TASK)
            await until("its end", database, f"SELECT state = 'quarantined' FROM durable.task WHERE id = {TASK}")

    asyncio.run(scenario())
    assert "the journal has 6 events but none at index 0" in database.failure(TASK)
    assert history(database, TASK) == before


def test_every_read_of_a_running_task_is_tried() -> None:
    reads = {name for name in journal._QUERIES if not name.startswith(("append", "wake"))}
    hints = {"notified_tasks"}  # only tells when to look
    assert reads - hints <= set(QUERIES)
