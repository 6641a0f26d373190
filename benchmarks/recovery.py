"""How soon a task goes on after its worker was killed with -9.

The worker is stopped first and a moment later killed, so that nothing of it can reach the database after the kill, and
the sleep that its guest is in is over when the sibling arrives there. The next event of the task is the first one that
the sibling records: after it was told to reclaim, has claimed the task and replayed what the journal has.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime

from benchmarks.figures import Figure, figure
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import Database, wait_until, workflow
from tests.engine.service import Service

_KILLS = 5
_EVENTS_BEFORE = 100
_IN_FLIGHT = 0.1  # seconds after which the server has heard all that a stopped worker ever sent


def recovery(stage: Stage) -> Iterator[Figure]:
    """From kill -9 of the worker to the next event of its task, recorded by the other worker."""
    with (
        stage.database() as database,
        Client(database.url) as client,
        stage.service(database, workers=2) as service,
    ):
        program = client.program(workflow("sleep-n-go"))
        times = []
        for _ in range(max(stage.rounds, _KILLS)):
            task = client.launch("busy", program, {"count": 100, "seconds": 0.02})
            times.append(next_event_after_kill(database, service, task))
            client.wait(task, timeout=60, raise_on_failure=True)
            database.assert_dense(task)
            service.wait_for_workers(2)
    yield figure("kill -9 → next event on the other worker", "ms", times)


def next_event_after_kill(database: Database, service: Service, task: int) -> float:
    """Milliseconds from kill -9 of the worker that runs the task to its next event, recorded by another."""
    wait_until(lambda: _count(database, task) >= _EVENTS_BEFORE, f"{_EVENTS_BEFORE} events of task {task}")
    worker = service.worker_of(task)
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    time.sleep(_IN_FLIGHT)
    recorded = _count(database, task)
    killed: datetime = database.value("SELECT clock_timestamp()")
    os.kill(worker, signal.SIGKILL)
    next_event: datetime = wait_until(lambda: _created_at(database, task, recorded), f"event {recorded} of task {task}")
    assert next_event > killed
    return (next_event - killed).total_seconds() * 1000


def _count(database: Database, task: int) -> int:
    return int(database.value("SELECT count(*) FROM durable.event WHERE task_id = %s", task))


def _created_at(database: Database, task: int, index: int) -> datetime | None:
    found: datetime | None = database.value(
        "SELECT created_at FROM durable.event WHERE task_id = %s AND index = %s", task, index
    )
    return found
