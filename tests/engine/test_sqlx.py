"""Workflows that use the crate's sqlx driver, against the real database."""

from __future__ import annotations

import os
import signal

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.service import Service


@pytest.fixture
def app(database: Database) -> str:
    database.query("CREATE SCHEMA app")
    database.query("CREATE TABLE app.step (task_id bigint, step int)")
    return "app"


def test_values_of_every_type_come_back_as_they_were(database: Database, app: str, service: Service) -> None:
    task = database.launch("sql-types")
    assert database.wait_for_end(task) == "complete", database.failure(task)
    lines = database.log(task).splitlines()
    assert len(lines) > 20
    assert [line for line in lines if not line.endswith(": ok")] == []


def test_savepoints_keep_and_undo(database: Database, app: str, service: Service) -> None:
    task = database.launch("sql-savepoints")
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert [row[0] for row in database.query("SELECT step FROM app.step ORDER BY step")] == [1, 3, 4, 7, 9]


def test_rows_are_read_one_by_one(database: Database, service: Service) -> None:
    task = database.launch("sql-stream", {"rows": 20_000})
    assert database.wait_for_end(task, 60) == "complete", database.failure(task)
    assert str(20_000 * 20_001 // 2) in database.log(task)


def test_serialized_values_survive_a_replay(database: Database, app: str, start_service: StartService) -> None:
    start_service(workers=1, suspend_timeout="0.2")
    task = database.launch("sql-serialize", {"seconds": 1})
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 2


def test_every_step_is_there_once_whatever_is_killed(database: Database, app: str, start_service: StartService) -> None:
    service = start_service(workers=2)
    tasks = [database.launch("sql-exactly-once", {"steps": 20}) for _ in range(20)]
    for kill in range(1, 6):
        wait_until(
            lambda n=kill: database.value("SELECT count(*) FROM app.step") >= 60 * n,  # type: ignore[misc]
            f"{60 * kill} rows",
        )
        os.kill(service.pids()[kill % 2], signal.SIGKILL)
        service.wait_for_workers(2)
    for task in tasks:
        assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.query("SELECT task_id, step FROM app.step GROUP BY 1, 2 HAVING count(*) <> 1") == []
    assert database.value("SELECT count(*) FROM app.step") == 400


def test_a_thousand_tasks_that_want_sql_at_once_all_get_it_and_hold_up_nobody_else(
    database: Database, app: str, start_service: StartService
) -> None:
    start_service(workers=1, guest_sql_connections="2", max_tasks="2000")
    first = database.launch("use-sql", {"sql": "INSERT INTO app.step SELECT 1, 1 FROM pg_sleep(0.02)"})
    database.query(
        "INSERT INTO durable.task (name, wasm, data) SELECT 'many', wasm, data FROM durable.task, "
        "generate_series(1, 999) WHERE id = %s", first,
    )  # fmt: skip
    others = [database.launch("ten-events") for _ in range(20)]
    for task in others:
        assert database.wait_for_end(task, 60) == "complete"
    still_wait = "SELECT count(*) FROM durable.task WHERE data <> 'null' AND completed_at IS NULL"
    assert database.value(still_wait) > 0, "the journal had to wait for all the SQL"
    database.wait_for_all(120)
    assert database.value("SELECT count(*) FROM durable.task WHERE state = 'complete'") == 1020
    assert database.value("SELECT count(*) FROM app.step") == 1000
