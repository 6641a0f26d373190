"""How fast an application can launch tasks. No worker runs meanwhile: this is the client and the database alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.figures import Figure, figure
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import workflow

_BATCH = 1000


def launching(stage: Stage) -> Iterator[Figure]:
    """`launch`, a commit per task, and `launch_many` with a thousand, both from one thread."""
    with stage.database() as database, Client(database.url) as client:
        program = client.program(workflow("noop"))
        batch = [(f"task {number}", {"number": number}) for number in range(_BATCH)]

        def one() -> int:
            client.launch("task", program, {"number": 1})
            return 1

        def many() -> int:
            return len(client.launch_many(program, batch))

        yield figure("launch", "tasks/s", _rates(stage, one, stage.size(1000)))
        yield figure("launch_many of 1,000", "tasks/s", _rates(stage, many, stage.size(20)))


def _rates(stage: Stage, launch: Callable[[], int], calls: int) -> list[float]:
    _rate(launch, max(calls // 10, 1))
    return [_rate(launch, calls) for _ in range(stage.rounds)]


def _rate(launch: Callable[[], int], calls: int) -> float:
    started = time.perf_counter()
    launched = sum(launch() for _ in range(calls))
    return launched / (time.perf_counter() - started)
