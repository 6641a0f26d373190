"""A database that answers and cannot write costs time, and no task: nothing runs in vain again and again.

A trigger stands in for the disk that is full, so that this is tried everywhere; tests/chaos/test_full_database.py fills
one.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from durable import config
from durable.errors import DatabaseUnavailable
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.impaired import SAYS, impaired
from workers.worker import Worker

TASKS = 30
#: Seconds that it lasts.
LONG = 2.0
REFUSES = f"the database cannot write; tasks wait, and a few are tried now and then: {SAYS}"
LATE = "the heartbeat did not reach the database; trying again: "
_SETTINGS = {"poll_interval": "0.1", "heartbeat_interval": "1", "metrics_addr": "127.0.0.1:0"}


def test_tasks_wait_and_end_exactly_once(database: Database, start_service: StartService) -> None:
    database.query("CREATE SCHEMA app")
    database.query("CREATE TABLE app.step (task_id bigint, step integer)")
    service = start_service(workers=1, **_SETTINGS)
    began = time.monotonic()
    with impaired(database.url, "INSERT ON durable.event"):
        tasks = [database.launch("sql-exactly-once", {"steps": 3}) for _ in range(TASKS)]
        wait_until(lambda: REFUSES in service.log, "it says so")
        assert service.readiness() == (503, "the database cannot write; the log of worker 1 says why\n")
        time.sleep(LONG)
        assert service.log.count(REFUSES) == 1
        runs = int(database.value("SELECT sum(lease) FROM durable.task"))
        # Once all of them, then ten each second; without pauses it would be all of them, some times a second.
        took = time.monotonic() - began
        assert runs <= TASKS + 10 * (took + 1), f"{runs} runs of {TASKS} tasks in {took:.1f} s"
        assert {database.state(task) for task in tasks} <= {"ready", "active"}

    for task in tasks:
        assert database.wait_for_end(task) == "complete", database.failure(task)
        database.assert_dense(task)
    steps = database.query("SELECT task_id, step, count(*) FROM app.step GROUP BY 1, 2")
    assert sorted(steps) == [(task, step, 1) for task in tasks for step in range(3)]
    wait_until(lambda: service.readiness() == (200, "ready\n"), "readiness")
    assert service.log.count("tasks are claimed as usual again") == 1

    with impaired(database.url, "UPDATE ON durable.task"):
        task = database.launch("six-steps")
        wait_until(lambda: service.log.count(REFUSES) == 2, "a claim is refused")
        time.sleep(LONG / 2)
        assert service.log.count(SAYS) == 2 + service.log.count("is put back")
    assert database.wait_for_end(task) == "complete"

    with impaired(database.url, "UPDATE ON durable.worker"):
        wait_until(lambda: LATE in service.log, "a heartbeat is refused")
        time.sleep(LONG / 2)  # it is tried again four times a second
    assert service.log.count(LATE) == 1


def test_a_worker_that_cannot_register_waits_for_its_database(database: Database, cache_folder: Path) -> None:
    settings = config.load({"database_url": database.url, "cache_folder": str(cache_folder)}, {})
    told = f"cannot be worked with: {SAYS}"
    with impaired(database.url, "INSERT ON durable.worker"), pytest.raises(DatabaseUnavailable, match=told):
        asyncio.run(Worker(settings).start())
