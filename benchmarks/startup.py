"""How long the service needs until it works."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.figures import Figure, figure
from benchmarks.stage import Stage


def startup(stage: Stage) -> Iterator[Figure]:
    """From `durable supervise` to two registered workers, and to the end of a task that was there already."""
    _start(stage)
    rounds = [_start(stage) for _ in range(stage.rounds)]
    registered, ended = zip(*rounds, strict=True)
    yield figure("start of the service → two workers registered", "ms", registered)
    yield figure("start of the service → first task complete", "ms", ended)


def _start(stage: Stage) -> tuple[float, float]:
    with stage.database() as database:
        task = database.launch("noop")
        started = time.perf_counter()
        with stage.service(database, workers=2):
            registered = time.perf_counter()
            assert database.wait_for_end(task) == "complete", database.failure(task)
            return (registered - started) * 1000, (time.perf_counter() - started) * 1000
