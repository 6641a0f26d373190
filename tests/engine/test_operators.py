"""What an operator does to a task that runs: cancel it, pause it, let it go on."""

from __future__ import annotations

import os
import signal

import durable
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.fetching import LOOPBACK
from tests.engine.service import Service
from tests.net.conftest import Serve
from tests.net.servers import after, response

STEPS = 10
LINES = [f"{n} of {STEPS}" for n in range(1, STEPS + 1)]


def some_steps(database: Database, task: int, count: int) -> None:
    wait_until(lambda: len(database.log(task).splitlines()) >= count, f"{count} steps")


def test_a_cancelled_task_does_not_go_on(database: Database, service: Service) -> None:
    task = database.launch("sleep-n-go", {"count": 100, "seconds": 0.1})
    other = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1})
    some_steps(database, task, 2)
    with durable.Client(database.url) as client:
        client.cancel(task)
    printed = database.log(task)
    wait_until(lambda: f"task {task} is not this worker's any more" in service.log, "the worker drops it")
    assert database.wait_for_end(other) == "complete"
    assert (database.state(task), database.log(task)) == ("cancelled", printed)


def test_a_task_that_waits_in_memory_is_dropped_when_it_is_cancelled(database: Database, service: Service) -> None:
    task = database.launch("notified")
    database.wait_for_state(task, "active")
    with durable.Client(database.url) as client:
        client.cancel(task)
    wait_until(lambda: f"task {task} is not this worker's any more" in service.log, "the worker drops it")


def test_a_cancelled_request_is_given_up(database: Database, start_service: StartService, serve: Serve) -> None:
    server = serve(after(3.0, response(b"hello")))
    service = start_service(workers=1, **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    wait_until(lambda: server.requests, "the request")
    with durable.Client(database.url) as client:
        client.cancel(task)
    wait_until(lambda: f"task {task} is not this worker's any more" in service.log, "the worker drops it")
    assert (database.state(task), database.events(task)) == ("cancelled", [])


def test_what_plain_sql_cancels_is_dropped_within_a_heartbeat(database: Database, start_service: StartService) -> None:
    service = start_service(workers=1, heartbeat_interval="0.3", heartbeat_timeout="3")
    task = database.launch("notified")
    database.wait_for_state(task, "active")
    database.query(
        "UPDATE durable.task SET state = 'cancelled', completed_at = durable.now(), running_on = NULL WHERE id = %s",
        task,
    )
    wait_until(lambda: f"task {task} is not this worker's any more" in service.log, "the worker drops it")


def test_a_paused_task_goes_on_where_it_was(database: Database, service: Service) -> None:
    task = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1})
    some_steps(database, task, 2)
    with durable.Client(database.url) as client:
        client.pause(task)
        printed = database.log(task)
        wait_until(lambda: f"task {task} is not this worker's any more" in service.log, "the worker drops it")
        assert (database.state(task), database.log(task)) == ("paused", printed)
        client.resume(task)
    assert database.wait_for_end(task) == "complete"
    assert database.log(task).splitlines() == LINES
    database.assert_dense(task)


def test_a_task_that_is_paused_and_resumed_at_once_runs_once(database: Database, start_service: StartService) -> None:
    """The worker claims it again before it has heard that it had lost it."""
    service = start_service(workers=1)
    tasks = [database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1}) for _ in range(5)]
    with durable.Client(database.url) as client:
        for _ in range(5):
            for task in tasks:
                if database.state(task) == "active":
                    client.pause(task)
                    client.resume(task)
    for task in tasks:
        assert database.wait_for_end(task) == "complete"
        assert database.log(task).splitlines() == LINES
        database.assert_dense(task)
    assert "error of the host" not in service.log
    assert "Traceback" not in service.log


def test_a_sleeping_task_that_was_paused_past_its_time_is_due_when_it_is_resumed(
    database: Database, service: Service
) -> None:
    task = database.launch("sleepy-sleep", {"seconds": 600})
    database.wait_for_state(task, "suspended")
    with durable.Client(database.url) as client:
        client.pause(task)
        database.advance_clock(601)
        os.kill(service.pids()[0], signal.SIGCONT)
        assert database.state(task) == "paused"
        client.resume(task)
    assert database.wait_for_end(task) == "complete"
