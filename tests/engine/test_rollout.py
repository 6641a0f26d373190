"""Reload, dump and hang detection with real workers that have real tasks."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from durable.store.migrations import latest
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until

COUNT = 20


def expected_log() -> str:
    return "".join(f"{n} of {COUNT}\n" for n in range(1, COUNT + 1))


def test_a_reload_replaces_all_workers_while_their_tasks_go_on(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    config = tmp_path / "durable.toml"
    config.write_text("max_tasks = 100\n")
    service = start_service(config=str(config))
    old = set(service.pids())
    tasks = [database.launch("sleep-n-go", {"count": COUNT, "seconds": 0.2}) for _ in range(40)]
    wait_until(lambda: all(service.worker_of(task) for task in tasks), "all tasks run")

    config.write_text("max_tasks = 50\n")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "all workers have the new configuration" in service.log, "the end of the rollout")

    assert not old & set(service.pids())
    assert len(service.pids()) == 2
    for task in tasks:
        assert database.wait_for_end(task) == "complete", database.failure(task)
        database.assert_dense(task)
        assert database.log(task) == expected_log()
    assert "was killed" not in service.log


def test_a_bad_file_changes_nothing(database: Database, start_service: StartService, tmp_path: Path) -> None:
    config = tmp_path / "durable.toml"
    config.write_text("max_tasks = 100\n")
    service = start_service(config=str(config))
    pids = service.pids()
    for text, why in [
        ("max_taks = 100\n", 'unknown key \\"max_taks\\"'),
        ("max_tasks = 5001\n", "max_tasks (5001) must be at most 5000"),
    ]:
        config.write_text(text)
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda why=why: why in service.log, f"the error {why}")  # type: ignore[misc]
    assert service.pids() == pids
    assert service.log.count("the old configuration stays") == 2


def test_a_schema_that_went_ahead_stops_a_rollout_and_keeps_the_workers(
    database: Database, start_service: StartService
) -> None:
    service = start_service()
    pids = service.pids()
    database.query("INSERT INTO durable.migration (version, name, works_from) VALUES (1000, 'of_tomorrow', 1000)")
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "the new configuration is not rolled out" in service.log, "the end of the rollout")
    assert service.pids() == pids
    database.query("DELETE FROM durable.migration WHERE version = 1000")


def test_workers_of_the_old_version_are_started_on_a_newer_schema_that_they_work_with(
    database: Database, start_service: StartService
) -> None:
    service = start_service()
    pids = service.pids()
    database.query(
        "INSERT INTO durable.migration (version, name, works_from) VALUES (1000, 'of_tomorrow', %s)", latest()
    )
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(service.pids()) == 2 and not set(service.pids()) & set(pids), "other workers")
    assert database.wait_for_end(database.launch("hello-world")) == "complete"


def test_quit_shows_what_each_task_is_at(database: Database, start_service: StartService) -> None:
    service = start_service(workers=1)
    waiting = database.launch("notified")
    sleeping = database.launch("sleep-n-go", {"count": 1, "seconds": 8})

    def shown() -> bool:
        service.process.send_signal(signal.SIGQUIT)
        return all(f"task {task}: {at}" in service.log for task, at in states.items())

    states = {waiting: "waits for a notification; ", sleeping: "live at event "}
    wait_until(shown, "both tasks in the dump")
    assert "notification_blocking" in service.log
    assert "coroutine heartbeat: " in service.log
    assert "thread MainThread: " in service.log
    assert database.wait_for_end(sleeping) == "complete"


def test_a_worker_that_stands_still_is_replaced_and_its_tasks_go_on(
    database: Database, start_service: StartService
) -> None:
    service = start_service(heartbeat_timeout="5s", heartbeat_interval="1s", hang_timeout="5s")
    tasks = [database.launch("sleep-n-go", {"count": COUNT, "seconds": 0.2}) for _ in range(4)]
    still = wait_until(lambda: service.worker_of(tasks[0]), "the task runs")
    os.kill(still, signal.SIGSTOP)
    wait_until(lambda: f"(pid {still}), which did not react" in service.log, "the kill", 60.0)
    service.wait_for_workers(2)
    for task in tasks:
        assert database.wait_for_end(task, 60.0) == "complete", database.failure(task)
        assert database.log(task) == expected_log()
