"""What a worker and a waiting task cost in memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure, figure
from benchmarks.processes import MIB, proportional_bytes, resident_bytes, wait_until_idle
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import wait_until, workflow

_WAITING = 1000


def memory(stage: Stage) -> Iterator[Figure]:
    """An idle worker, and a task that waits in memory: the growth of a worker with a thousand of them, divided."""
    rounds = [_measure(stage) for _ in range(stage.rounds)]
    resident, proportional, waiting = zip(*rounds, strict=True)
    yield figure("idle worker, RSS", "MiB", resident)
    yield figure("idle worker, PSS", "MiB", proportional)
    yield figure("task that waits in memory", "KiB", waiting)


def _measure(stage: Stage) -> tuple[float, float, float]:
    """RSS and PSS of an idle worker in MiB, memory per waiting task in KiB."""
    with (
        stage.database() as database,
        Client(database.url) as client,
        stage.service(database, workers=1, suspend_timeout="1h") as service,
    ):
        program = client.program(workflow("notified"))
        [worker] = service.pids()
        wait_until_idle([worker])
        idle = resident_bytes(worker) / MIB, proportional_bytes(worker) / MIB
        task = client.launch("first", program)  # loads the program, which is no cost of a single task
        client.notify(task, "task-exit")
        client.wait(task, timeout=60)
        wait_until_idle([worker])
        before = proportional_bytes(worker)
        client.launch_many(program, [("waiting", None)] * _WAITING)
        active = "SELECT count(*) FROM durable.task WHERE state = 'active'"
        wait_until(lambda: database.value(active) == _WAITING, f"{_WAITING} active tasks")
        wait_until_idle([worker])
        return *idle, (proportional_bytes(worker) - before) / _WAITING / 1024
