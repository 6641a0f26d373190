"""What is older than it has to be goes, however much it is; a part that is left meanwhile passes for nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import LiteralString

import pytest

import durable
from durable import config
from durable.config import Config
from durable.store.leases import LeaseStore
from durable.store.retention import RetentionStore
from durable.store.session import Session
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until, workflow
from workers.identity import this_process
from workers.retention import Retention
from workers.sessions import Sessions
from workers.sweeper import Sweeper

AGE = 3600


def settings(database: Database, **more: str) -> Config:
    return config.load({"database_url": database.url, "cleanup_age": f"{AGE}s", "wasm_entry_ttl": "1h", **more}, {})


@asynccontextmanager
async def sweep_session(database: Database, config: Config) -> AsyncIterator[Session]:
    sessions = Sessions(database.url, config)
    yield sessions.sweep
    await sessions.close()


async def apply(database: Database, config: Config) -> None:
    async with sweep_session(database, config) as session:
        await Retention(config, session, 1).apply()


def old_task(database: Database, events: int, state: str = "complete", *, notifications: int = 0) -> int:
    """A task that ended two hours ago, printed with each of its events, and did not take its notifications."""
    task = database.launch("ten-events")
    database.query(
        "INSERT INTO durable.event (task_id, index, label, value)"
        " SELECT %s, i, 'x', 'null' FROM generate_series(0, %s - 1) AS i", task, events,
    )  # fmt: skip
    database.query(
        "INSERT INTO durable.log SELECT task_id, index, index || E'\\n' FROM durable.event WHERE task_id = %s", task
    )
    database.query(
        "INSERT INTO durable.notification (task_id, event) SELECT %s, 'e' FROM generate_series(1, %s)",
        task, notifications,
    )  # fmt: skip
    database.query(
        "UPDATE durable.task SET state = %s::durable.task_state, completed_at = durable.now() - interval '2 h'"
        " WHERE id = %s", state, task,
    )  # fmt: skip
    return task


def slow_disk(database: Database) -> None:
    """An event takes a millisecond to be deleted."""
    database.query(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN PERFORM pg_sleep(0.001); RETURN OLD; END $$"
    )
    database.query("CREATE TRIGGER slow BEFORE DELETE ON durable.event FOR EACH ROW EXECUTE FUNCTION public.slow()")


def count(database: Database, table: LiteralString) -> int:
    return int(database.value(f"SELECT count(*) FROM durable.{table}"))


def test_ended_tasks_and_unused_programs_go_after_their_time(database: Database) -> None:
    for state in ("complete", "failed", "cancelled"):
        for _ in range(10):
            old_task(database, 1, state)
    kept = [old_task(database, 1, "quarantined"), old_task(database, 1, "paused"), database.launch("noop")]
    unused = database.program(workflow("hello-world"))
    database.query("UPDATE durable.wasm SET last_used = durable.now() - interval '2 h'")

    asyncio.run(apply(database, settings(database, cleanup_batch_limit="7")))
    assert [row[0] for row in database.query("SELECT id FROM durable.task ORDER BY id")] == kept
    assert count(database, "event") == 2
    assert count(database, "wasm") == 2
    assert database.value("SELECT count(*) FROM durable.wasm WHERE id = %s", unused) == 0


def test_journals_go_that_take_longer_than_a_statement_may_and_a_reclaim_does_not_wait_for_them(
    database: Database
) -> None:  # fmt: skip
    slow_disk(database)
    for events in (200, 2400, 200):
        old_task(database, events)
    # A statement may take two seconds, all of it takes three and more.
    config = settings(database, heartbeat_interval="1", heartbeat_timeout="6")
    dead = database.value("INSERT INTO durable.worker (heartbeat_at) VALUES ('epoch') RETURNING id")
    orphan = database.launch("noop")
    database.query("UPDATE durable.task SET state = 'active', running_on = %s WHERE id = %s", dead, orphan)

    async def scenario() -> None:
        async with sweep_session(database, config) as session:
            retention = asyncio.create_task(Retention(config, session, 1).apply())
            await asyncio.to_thread(wait_until, lambda: count(database, "event") < 2800, "something is deleted")
            assert await Sweeper(config, LeaseStore(session), 0, this_process()).reclaim_dead() == 1
            assert not retention.done(), "there was nothing to wait for"
            await retention

    asyncio.run(scenario())
    assert database.query("SELECT id, state FROM durable.task") == [(orphan, "ready")]
    assert [count(database, table) for table in ("event", "log", "notification")] == [0, 0, 0]


def shorten(database: Database) -> int:
    async def once() -> int:
        async with sweep_session(database, settings(database)) as session:
            return await RetentionStore(session, 1.0).shorten_ended_task(AGE)

    return asyncio.run(once())


def test_a_task_of_which_a_part_is_deleted_does_not_pass_for_a_whole_one(
    database: Database, start_service: StartService
) -> None:
    task = old_task(database, 2500, "failed")
    database.query("INSERT INTO durable.log VALUES (%s, 2147483646, 'the reason')", task)
    assert shorten(database) == 1
    with durable.Client(database.url) as client:
        assert [event.index for event in client.events(task)] == list(range(1000, 2500))
        first, second, *_, last = [line.message for line in client.logs(task)]
        assert first.startswith("this task is being deleted: the beginning of its journal and of its log is gone")
        assert (second, last) == ("1000\n", "the reason")

    # Even to plain SQL it is nothing that could run again from the top.
    assert shorten(database) == 1
    database.query("UPDATE durable.task SET state = 'ready', completed_at = NULL WHERE id = %s", task)
    start_service(workers=1)
    assert database.wait_for_end(task) == "quarantined"
    assert "the journal has no event at index 0" in database.failure(task)
    assert [index for index, *_ in database.events(task)] == list(range(2000, 2500))


def test_the_last_event_stays_until_the_task_goes(database: Database) -> None:
    task = old_task(database, 1002)
    assert shorten(database) == 1
    assert [index for index, *_ in database.events(task)] == [1000, 1001]
    assert shorten(database) == 0, "the rest goes with the task"
    asyncio.run(apply(database, settings(database)))
    assert (count(database, "task"), count(database, "log")) == (0, 0)


def test_a_task_with_many_notifications_that_it_never_took_goes(database: Database) -> None:
    old_task(database, 3, notifications=1500)
    assert shorten(database) == 1
    assert count(database, "notification") == 500
    asyncio.run(apply(database, settings(database)))
    assert (count(database, "task"), count(database, "notification")) == (0, 0)


def test_a_quarantined_task_that_can_be_resumed_is_never_shortened(database: Database) -> None:
    for state in ("quarantined", "paused", "suspended"):
        old_task(database, 2500, state)
    assert shorten(database) == 0
    assert count(database, "event") == 7500


def test_what_cannot_be_deleted_is_told_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old_task(database, 1)
    database.query("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$")
    database.query("CREATE TRIGGER refuse BEFORE DELETE ON durable.task FOR EACH ROW EXECUTE FUNCTION refuse()")
    monkeypatch.setattr("workers.retention._INTERVAL", 0.05)

    async def scenario() -> None:
        config = settings(database)
        async with sweep_session(database, config) as session:
            retention = asyncio.create_task(Retention(config, session, 1).run())
            await asyncio.to_thread(wait_until, lambda: len(caplog.records) >= 2, "two warnings")
            database.query("DROP TRIGGER refuse ON durable.task")
            await asyncio.to_thread(wait_until, lambda: count(database, "task") == 0, "the task goes")
            retention.cancel()
            await asyncio.gather(retention, return_exceptions=True)

    asyncio.run(scenario())
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "could not be deleted" in caplog.text
    assert "not today" in caplog.text
