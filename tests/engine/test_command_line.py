"""The first five minutes: the real commands against the real service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from durable.store.migrations import latest
from tests.engine.conftest import StartService
from tests.engine.database import EXAMPLES, Database, workflow
from tests.engine.service import Service


def durable(url: str, *arguments: str, timeout: float = 30, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DURABLE_DATABASE_URL": url, **settings}
    return subprocess.run(
        [sys.executable, "-m", "durable", *arguments],
        env=environment, text=True, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_launch_and_follow_prints_the_id_and_the_output(database: Database, service: Service) -> None:
    result = durable(database.url, "launch", "--tail", "my first task", str(EXAMPLES / "hello-world.wasm"))
    task = database.value("SELECT max(id) FROM durable.task")
    assert result.stdout == f"launched new task with id {task}\nHello, my first task!\n"
    assert result.returncode == 0


def test_following_a_task_that_fails_shows_why_and_exits_1(database: Database, service: Service) -> None:
    result = durable(database.url, "launch", "--tail", "t", str(workflow("panic")))
    assert result.returncode == 1
    assert "boom" in result.stdout
    task = database.value("SELECT max(id) FROM durable.task")
    again = durable(database.url, "logs", "-f", str(task))
    assert again.returncode == 1
    assert "boom" in again.stdout


def test_notify_and_events(database: Database, service: Service) -> None:
    task = database.launch("notified")
    assert durable(database.url, "notify", str(task), "greeting", '{"text": "hi"}').returncode == 0
    assert durable(database.url, "notify", str(task), "task-exit").returncode == 0
    result = durable(database.url, "wait", str(task), "--timeout", "20")
    assert (result.returncode, result.stdout.strip()) == (0, "complete")
    assert "durable:core/notify.notification-blocking" in durable(database.url, "events", str(task)).stdout
    assert 'got greeting: {"text": "hi"}' in durable(database.url, "logs", str(task)).stdout
    assert durable(database.url, "notify", str(task), "late").returncode == 1


def test_a_program_that_cannot_run_here_is_refused_before_it_is_stored(database: Database) -> None:
    result = durable(database.url, "program", "add", str(workflow("unknown-import")))
    assert result.returncode == 1
    assert "does not provide" in result.stderr
    result = durable(database.url, "launch", "t", str(workflow("core-module")))
    assert result.returncode == 1
    assert "expected a WASM component but got a WASM module instead" in result.stderr
    assert database.value("SELECT count(*) FROM durable.wasm") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("launch", "", "hello-world"), "the task name must not be an empty string"),
        (("launch", "t", "hello-world", "--data", "{"), "provided task data was not valid json"),
        (("logs", "4711"), "no task with id 4711"),
        (("wait", "4711"), "no task with id 4711"),
        (("notify", "4711", "e"), "no task with id 4711"),
    ],
)
def test_bad_input_is_told_in_the_words_of_the_contract(
    database: Database, arguments: tuple[str, ...], message: str
) -> None:
    database.program(workflow("hello-world"))
    result = durable(database.url, *arguments)
    assert message in result.stderr
    assert result.returncode in (1, 2)
    assert "Traceback" not in result.stderr


def test_a_database_that_is_down_is_69(tmp_path: Path) -> None:
    url = f"postgresql://nobody:s3cret@/x?host={tmp_path}"
    for arguments in (("list",), ("launch", "t", str(workflow("hello-world")))):
        result = durable(url, *arguments)
        assert result.returncode == 69
        assert len(result.stderr.strip().splitlines()) <= 2
        assert "s3cret" not in result.stderr + result.stdout


def test_a_schema_that_is_too_old_or_too_new_is_78(database: Database) -> None:
    database.query("UPDATE durable.migration SET version = version + 100, works_from = version + 100")
    result = durable(database.url, "supervise", "--workers", "1")
    assert result.returncode == 78
    assert "upgrade durable" in result.stderr
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA durable CASCADE")
    result = durable(database.url, "supervise", "--workers", "1")
    assert result.returncode == 78
    assert "durable migrate" in result.stderr
    assert durable(database.url, "migrate").returncode == 0
    assert database.value("SELECT max(version) FROM durable.migration") == latest()


def test_the_service_waits_for_a_database_that_comes_later(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    """A wrong password or a server that is still starting is no reason to give up."""
    process = subprocess.Popen(
        [sys.executable, "-m", "durable", "supervise", "--workers", "1"],
        env={**os.environ, "DURABLE_DATABASE_URL": f"postgresql://x@/x?host={tmp_path}"},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(2)
    exited = process.poll()
    process.terminate()
    _, stderr = process.communicate(timeout=30)
    assert exited in (None, 69), stderr
    assert "Traceback" not in stderr


def test_a_full_cache_disk_costs_time_but_no_task(database: Database, start_service: StartService) -> None:
    """A cache folder that cannot be written, as on a full disk."""
    start_service(workers=1, cache_folder="/dev/full/cache")
    task = database.launch("hello-world")
    assert database.wait_for_end(task) == "complete"
