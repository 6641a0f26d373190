"""What one more worker brings where a processor is free for it.

Few machines have one for each worker and for PostgreSQL. So every worker gets a quarter of a processor: as much slower
as it then is, the rest of the machine is as much larger, and what the workers hinder each other by, in the database and
in themselves, shows all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cpu_share import each_limited_to
from benchmarks.figures import Figure, figure
from benchmarks.stage import Stage
from benchmarks.throughput import working

_SHARE = 0.25
_MOST = 3
_COUNT = 1200  # workflows for each worker


def scaling(stage: Stage) -> Iterator[Figure]:
    """One to three workers with a quarter of a processor each, 10-event workflows."""
    rates: dict[int, list[float]] = {workers: [] for workers in range(1, _MOST + 1)}
    for _ in range(stage.rounds):
        for workers, drained in rates.items():
            drained.append(_rate(stage, workers))
    for workers, drained in rates.items():
        yield figure(f"10-event workflows, {_named(workers)} of {_SHARE} CPU", "workflows/s", drained)
    for workers in range(2, _MOST + 1):
        ratios = [many / one for many, one in zip(rates[workers], rates[1], strict=True)]
        yield figure(f"… {_named(workers)} / 1 worker", "times", ratios)


def _rate(stage: Stage, workers: int) -> float:
    with stage.database() as database, working(stage, database, "ten-events", workers) as at_work:
        at_work.warm_up(stage.size(2000))
        with each_limited_to(_SHARE, at_work.workers):
            return at_work.drain(stage.size(_COUNT * workers)).rate


def _named(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"
