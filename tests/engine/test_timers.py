"""Durable time: tasks that wait cost nothing, keep their deadlines, and wake on time by the database's clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.proof import figure

SLEEPERS = figure(2_500, 10_000)


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def transactions(database: Database) -> int:
    database.query("SELECT pg_stat_clear_snapshot()")
    return int(database.value("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"))


def transactions_per_second(database: Database) -> float:
    """Over six seconds from now."""
    start, started = transactions(database), time.monotonic()
    time.sleep(6)
    return (transactions(database) - start) / (time.monotonic() - started)


def test_a_long_sleep_is_suspended_at_once_and_resumes_on_time(database: Database, start_service: StartService) -> None:
    start_service(workers=2)
    task = database.launch("sleepy-sleep")
    database.wait_for_state(task, "suspended", 10)
    remaining = database.value(
        "SELECT extract(epoch FROM wakeup_at - durable.now()) FROM durable.task WHERE id = %s", task
    )
    assert 590 < remaining <= 600
    database.advance_clock(500)
    time.sleep(1.5)
    assert database.state(task) == "suspended", "it woke early"
    database.advance_clock(601)
    assert database.wait_for_end(task, 10) == "complete"
    database.assert_dense(task)


@pytest.mark.proof(minutes=1)
def test_thousands_of_sleepers_cost_an_idle_worker_next_to_nothing(
    database: Database, start_service: StartService
) -> None:
    service = start_service(workers=1)
    first = database.launch("sleepy-sleep")
    database.wait_for_state(first, "suspended")
    before = resident_bytes(service.pids()[0])
    database.query(
        "WITH sleeper AS (INSERT INTO durable.task (name, wasm) SELECT 'sleeper', wasm FROM durable.task, "
        "generate_series(1, %s) WHERE id = %s RETURNING id) SELECT count(*) FROM sleeper", SLEEPERS, first,
    )  # fmt: skip
    wait_until(
        lambda: database.value("SELECT count(*) FROM durable.task WHERE state = 'suspended'") == SLEEPERS + 1,
        "all sleep", 60,
    )  # fmt: skip
    assert resident_bytes(service.pids()[0]) < before + 60_000_000, "suspended tasks hold memory"

    # What the burst left behind comes in first: an idle session of PostgreSQL hands its statistics in up to 10 s late,
    # and autovacuum's own transactions count like any. Our own queries do, too.
    wait_until(lambda: transactions_per_second(database) <= 2.0 + 0.5, "the worker is idle", 90)

    database.advance_clock(601)
    database.wait_for_all(60)
    assert database.value("SELECT count(*) FROM durable.task WHERE state = 'complete'") == SLEEPERS + 1


def test_a_wait_with_timeout_keeps_its_deadline_across_two_workers(
    database: Database, start_service: StartService
) -> None:
    service = start_service(workers=1, suspend_timeout="0.3")
    task = database.launch("wait-timeout", {"ms": 120_000})
    database.wait_for_state(task, "suspended")
    deadline = database.value("SELECT wakeup_at FROM durable.task WHERE id = %s", task)
    service.stop()

    start_service(workers=1, suspend_timeout="0.3")
    database.advance_clock(60)
    # Something wakes it half-way; it must not start counting again.
    database.query("UPDATE durable.task SET state = 'ready', wakeup_at = NULL WHERE id = %s", task)
    wait_until(
        lambda: database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 2, "the second worker runs it"
    )
    database.wait_for_state(task, "suspended")
    assert database.value("SELECT wakeup_at FROM durable.task WHERE id = %s", task) == deadline

    database.advance_clock(100)
    time.sleep(1.5)
    assert database.state(task) == "suspended", "the timeout came early"
    database.advance_clock(121)
    assert database.wait_for_end(task, 10) == "complete"
    assert "none" in database.log(task)


def test_a_notification_ends_the_wait_before_its_timeout(database: Database, start_service: StartService) -> None:
    start_service(workers=1, suspend_timeout="0.3")
    task = database.launch("wait-timeout", {"ms": 120_000})
    database.wait_for_state(task, "suspended")
    database.notify(task, "go")
    assert database.wait_for_end(task, 10) == "complete"
    assert "go" in database.log(task)
    assert database.value("SELECT count(*) FROM durable.notification") == 0


def test_a_sleeping_task_is_not_woken_by_a_notification(database: Database, start_service: StartService) -> None:
    start_service(workers=1)
    task = database.launch("sleepy-sleep")
    database.wait_for_state(task, "suspended")
    database.notify(task, "go")
    time.sleep(1)
    assert database.state(task) == "suspended"
