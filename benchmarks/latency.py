"""How soon something happens on an idle service.

Both ends are times that PostgreSQL noted: `created_at` of the row that asks, which is when its INSERT reached the
server, and `created_at` of the first event that answers, which is when the append with this event reached the server.
Between them lie the INSERT and its commit, NOTIFY, the claim or the look at the notifications, and the guest itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

from benchmarks.figures import Figure, percentiles
from benchmarks.processes import wait_until_idle
from benchmarks.stage import Stage
from durable.client import Client
from durable.model import Program
from tests.engine.database import Database, wait_until, workflow
from tests.engine.service import Service

_SAMPLES = 200
_WARM_UP = 50
#: Seconds between two samples; random, or each would meet the workers' poll in the same phase.
_PAUSE = (0.02, 0.04)


def launch_to_start(stage: Stage) -> Iterator[Figure]:
    """From the launch of a task to its first event."""
    with stage.database() as database, Client(database.url) as client, stage.service(database, workers=2):
        program = client.program(workflow("ten-events"))
        rounds = [_launch_delays(database, client, program, samples) for samples in _rounds(stage)]
    yield from percentiles("launch → first event", "ms", rounds[1:])


def notify_to_woken(stage: Stage) -> Iterator[Figure]:
    """From a notification to the event of the task that takes it: a task in memory, and one that is suspended."""
    yield from _notify_to_woken(stage, "active", "a task in memory", suspend_timeout="1h")
    yield from _notify_to_woken(stage, "suspended", "a suspended task", suspend_timeout="0s")


def _notify_to_woken(stage: Stage, state: str, what: str, suspend_timeout: str) -> Iterator[Figure]:
    with (
        stage.database() as database,
        Client(database.url) as client,
        stage.service(database, workers=2, suspend_timeout=suspend_timeout) as service,
    ):
        program = client.program(workflow("notified"))
        rounds = []
        for samples in _rounds(stage):
            tasks = client.launch_many(program, [("waiting", None)] * samples)
            _wait_until_all_wait(database, service, state, samples)
            rounds.append(_notify_delays(database, client, tasks))
    yield from percentiles(f"notify → woken, {what}", "ms", rounds[1:])


def _rounds(stage: Stage) -> list[int]:
    """The number of samples of the warm-up, and of each round."""
    return [_WARM_UP, *[stage.size(_SAMPLES)] * stage.rounds]


def _launch_delays(database: Database, client: Client, program: Program, samples: int) -> list[float]:
    tasks = []
    for _ in range(samples):
        tasks.append(client.launch("task", program, {"n": 1}))
        time.sleep(random.uniform(*_PAUSE))
    database.wait_for_all()
    rows = database.query(
        "SELECT extract(epoch FROM event.created_at - task.created_at)::float8 * 1000"
        " FROM durable.task JOIN durable.event ON task_id = id WHERE index = 0 AND id = ANY (%s)", tasks,
    )  # fmt: skip
    return _all_of(rows, samples)


def _notify_delays(database: Database, client: Client, tasks: Sequence[int]) -> list[float]:
    for task in tasks:
        client.notify(task, "task-exit")
        time.sleep(random.uniform(*_PAUSE))
    database.wait_for_all()
    rows = database.query(
        "SELECT extract(epoch FROM created_at - (value ->> 'created_at')::timestamptz)::float8 * 1000"
        " FROM durable.event WHERE index = 0 AND task_id = ANY (%s)", tasks,
    )  # fmt: skip
    return _all_of(rows, len(tasks))


def _wait_until_all_wait(database: Database, service: Service, state: str, count: int) -> None:
    there = "SELECT count(*) FROM durable.task WHERE state = %s::durable.task_state"
    wait_until(lambda: database.value(there, state) == count, f"{count} {state} tasks")
    wait_until_idle(service.pids())


def _all_of(rows: Sequence[Sequence[float]], expected: int) -> list[float]:
    assert len(rows) == expected, f"{len(rows)} of {expected} tasks have their first event"
    return [row[0] for row in rows]
