"""What the exporter asks the database: right, and cheap however many tasks have ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from durable.model import TaskState
from durable.store import task_counts
from durable.store.queries import load
from durable.store.task_counts import count_tasks, open_connection
from tests.engine.database import Database


@pytest.fixture
def connection(database: Database) -> Iterator[task_counts.Connection]:
    with open_connection(database.url) as connection:
        yield connection


def execute(database: Database, statement: str) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(statement.encode())


def add(database: Database, state: str, count: int, **given: str) -> None:
    """Tasks as they are in that state, with columns by SQL."""
    execute(database, "INSERT INTO durable.wasm (hash, wasm) VALUES ('x', 'x') ON CONFLICT DO NOTHING")
    columns = {
        "name": "'t'",
        "wasm": "(SELECT id FROM durable.wasm)",
        "state": f"'{state}'",
        "completed_at": "durable.now()" if state in ("complete", "failed", "cancelled") else "NULL",
        **given,
    }
    execute(
        database,
        f"INSERT INTO durable.task ({', '.join(columns)}) SELECT {', '.join(columns.values())} "
        f"FROM generate_series(1, {count})",
    )


@pytest.fixture
def tasks(database: Database) -> Database:
    """Some in every state."""
    execute(database, "INSERT INTO durable.worker DEFAULT VALUES")
    add(database, "ready", 1)
    add(database, "active", 2, running_on="(SELECT max(id) FROM durable.worker)")
    add(database, "suspended", 3)
    add(database, "suspended", 4, wakes_on_notification="false", wakeup_at="durable.now()")
    add(database, "suspended", 5, wakes_on_notification="true", wakeup_at="durable.now()")
    add(database, "complete", 6)
    add(database, "failed", 7)
    add(database, "paused", 8)
    add(database, "cancelled", 9)
    add(database, "quarantined", 10)
    return database


EACH = {
    TaskState.READY: 1, TaskState.ACTIVE: 2, TaskState.SUSPENDED: 12, TaskState.COMPLETE: 6, TaskState.FAILED: 7,
    TaskState.PAUSED: 8, TaskState.CANCELLED: 9, TaskState.QUARANTINED: 10,
}  # fmt: skip


def test_every_state_is_counted_exactly_also_when_it_has_no_task(
    tasks: Database, connection: task_counts.Connection
) -> None:
    assert count_tasks(connection).states == EACH
    execute(tasks, "DELETE FROM durable.task")
    assert count_tasks(connection).states == dict.fromkeys(TaskState, 0)


def test_beyond_the_bound_the_planner_is_believed(
    database: Database, connection: task_counts.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_counts, "BOUND", 100)
    add(database, "complete", 3000)
    add(database, "failed", 1000)
    add(database, "quarantined", 3)
    execute(database, "ANALYZE durable.task")
    states = count_tasks(connection).states
    assert 2700 < states[TaskState.COMPLETE] < 3300
    assert 900 < states[TaskState.FAILED] < 1100
    assert states[TaskState.QUARANTINED] == 3


def test_a_count_that_takes_too_long_is_given_up_for_the_estimate(
    tasks: Database, connection: task_counts.Connection
) -> None:
    execute(tasks, "ANALYZE durable.task")
    slow = "SELECT count(*), pg_sleep(60) FROM durable.task"
    connection.execute("SET statement_timeout = '50ms'")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(task_counts, "_QUERIES", {**load("gauge"), "complete": slow})
        assert count_tasks(connection).states == EACH


def test_no_count_reads_the_ended_tasks(database: Database, connection: task_counts.Connection) -> None:
    """By the planner's choice with a hundred ended tasks for each other one: an index, never the table."""
    add(database, "complete", 30_000)
    add(database, "failed", 30)
    add(database, "suspended", 100)
    add(database, "ready", 100)
    execute(database, "VACUUM ANALYZE durable.task")
    for name, query in load("gauge").items():
        if name in ("estimate", "launched", "complete"):
            continue
        values = {"state": "failed", "bound": task_counts.BOUND}
        ((plan,),) = connection.execute(f"EXPLAIN (FORMAT json) {query}".encode(), values).fetchall()
        assert "Seq Scan" not in json.dumps(plan), name


def launched(connection: task_counts.Connection) -> int:
    return count_tasks(connection).launched


def test_launches_are_counted_also_when_their_tasks_are_gone(
    database: Database, connection: task_counts.Connection
) -> None:
    assert launched(connection) == 0
    add(database, "complete", 5)
    assert launched(connection) == 5
    execute(database, "DELETE FROM durable.task")
    assert launched(connection) == 5


def test_a_worker_role_of_least_privilege_may_ask_all_of_it(tasks: Database) -> None:
    execute(tasks, "CREATE ROLE counting LOGIN")
    try:
        execute(tasks, "GRANT USAGE ON SCHEMA durable TO counting")
        execute(tasks, "GRANT SELECT ON durable.task TO counting")
        execute(tasks, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA durable TO counting")
        with open_connection(tasks.url.replace("//durable@", "//counting@")) as connection:
            assert count_tasks(connection).states == EACH
    finally:
        execute(tasks, "DROP OWNED BY counting")
        execute(tasks, "DROP ROLE counting")


def oldest(database: Database, connection: task_counts.Connection) -> float | None:
    """For how many seconds, by the clock of the database."""
    since = count_tasks(connection).oldest_ready
    now: Any = database.value("SELECT extract(epoch FROM durable.now())::float8")
    return None if since is None else float(now - since)


def test_the_oldest_ready_task_counts_from_when_it_became_ready(
    database: Database, connection: task_counts.Connection
) -> None:
    assert oldest(database, connection) is None
    add(database, "suspended", 1, created_at="durable.now() - interval '1 day'")
    assert oldest(database, connection) is None
    execute(database, "UPDATE durable.task SET state = 'ready'")  # by hand, or by whatever wakes it
    woken = oldest(database, connection)
    assert woken is not None
    assert woken < 3600
    add(database, "ready", 1, created_at="durable.now() - interval '2 hours'")
    launched = oldest(database, connection)
    assert launched is not None
    assert 7200 <= launched < 10_000
