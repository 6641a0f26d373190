"""Whatever dies underneath it, a task runs to its end as if nothing had happened."""

from __future__ import annotations

import os
import signal
import statistics
import time

from durable.embedded import EmbeddedServer
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.service import Service

STEPS = 20
LINES = [f"{n} of {STEPS}" for n in range(1, STEPS + 1)]


def printed_steps(database: Database, task: int) -> list[str]:
    return database.log(task).splitlines()


def assert_undisturbed(database: Database, task: int) -> None:
    assert printed_steps(database, task) == LINES
    database.assert_dense(task)


def test_ten_kills_of_the_worker_that_runs_it(database: Database, start_service: StartService) -> None:
    service = start_service(workers=2)
    task = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.7})
    gaps = []
    for kill in range(1, 11):
        wait_until(lambda n=kill: len(printed_steps(database, task)) >= n, f"step {kill}")  # type: ignore[misc]
        pid = wait_until(lambda: service.worker_of(task), "a worker that runs the task")
        lease = database.value("SELECT lease FROM durable.task WHERE id = %s", task)
        killed = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda old=lease: database.query(  # type: ignore[misc]
                "SELECT 1 FROM durable.task WHERE id = %s AND state = 'active' AND lease > %s", task, old
            ),
            "another worker that runs the task",
        )
        gaps.append(time.monotonic() - killed)
    assert database.wait_for_end(task, 60) == "complete"
    assert_undisturbed(database, task)
    # The promise is one second; the median keeps a busy machine from failing the test.
    assert statistics.median(gaps) <= 1.0, gaps


def test_the_whole_service_is_killed_and_started_again(database: Database, start_service: StartService) -> None:
    service = start_service(workers=2)
    tasks = [database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1}) for _ in range(4)]
    wait_until(lambda: all(len(printed_steps(database, task)) >= 5 for task in tasks), "five steps of each")
    service.kill()
    assert {database.state(task) for task in tasks} == {"active"}
    service.start()
    for task in tasks:
        assert database.wait_for_end(task, 60) == "complete"
        assert_undisturbed(database, task)


def test_postgresql_crashes_in_mid_run(database: Database, server: EmbeddedServer, start_service: StartService) -> None:
    service = start_service(workers=2)
    before = service.pids()
    tasks = [database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.2}) for _ in range(4)]
    for steps in (3, 8):
        wait_until(
            lambda n=steps: all(len(printed_steps(database, task)) >= n for task in tasks),  # type: ignore[misc]
            f"{steps} steps of each",
        )
        server.restart("immediate")
    for task in tasks:
        assert database.wait_for_end(task, 60) == "complete"
        assert_undisturbed(database, task)
    assert service.pids() == before, "a worker was replaced"
    assert service.terminate() == 0


def test_a_drain_hands_its_tasks_over_without_a_wait(database: Database, start_service: StartService) -> None:
    first = start_service(workers=1)
    task = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1})
    wait_until(lambda: len(printed_steps(database, task)) >= 3, "three steps")
    assert first.terminate() == 0
    assert database.state(task) == "ready"
    assert database.query("SELECT * FROM durable.worker") == []
    first.start()
    assert database.wait_for_end(task) == "complete"
    assert_undisturbed(database, task)


def test_a_killed_supervisor_leaves_no_process(service: Service) -> None:
    workers = service.pids()
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    for pid in workers:
        wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"), f"the end of worker {pid}", 2.0)  # type: ignore[misc]


def test_a_stopped_worker_commits_nothing_after_its_task_went_on_elsewhere(
    database: Database, start_service: StartService
) -> None:
    service = start_service(workers=2, heartbeat_interval="0.3", heartbeat_timeout="1.5")
    task = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.3})
    wait_until(lambda: len(printed_steps(database, task)) >= 2, "two steps")
    stopped = wait_until(lambda: service.worker_of(task), "a worker that runs the task")
    os.kill(stopped, signal.SIGSTOP)
    assert database.wait_for_end(task, 60) == "complete"
    before = (database.events(task), database.log(task), database.state(task))
    os.kill(stopped, signal.SIGCONT)
    # It finds out that its row is gone, drops what it has, registers under a new id, and works on.
    wait_until(
        lambda: stopped in {row[0] for row in database.query("SELECT pid FROM durable.worker")},
        "the stopped worker registers again",
    )
    assert (database.events(task), database.log(task), database.state(task)) == before
    assert_undisturbed(database, task)
