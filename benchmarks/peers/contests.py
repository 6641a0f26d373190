"""What is compared. Each function measures one contestant once, in a database of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.peers.contestant import Contestant
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from tests.engine.database import Database

_DRAIN_TIMEOUT = 300.0
_LOOK = 0.05  # seconds between two looks at what is left
_LAUNCHES = 20_000
_SAMPLES = 60
_PAUSE = 0.11  # seconds between two launches: no multiple of anybody's poll
RECOVERY_TIMEOUT = 150.0


@dataclass(frozen=True, slots=True)
class Drain:
    """Workflows per second of two processes; the CPU time of them and of PostgreSQL for each, in µs."""

    rate: float
    cpu: float


def drain(stage: Stage, contestant: Contestant, workflow: str) -> Drain:
    """Work off what is there.

    All of them are there before the first worker starts. What counts is the time in which the middle four fifths end:
    neither the start of processes nor the last stragglers.
    """
    count = stage.size(contestant.drains[workflow])
    with _prepared(stage, contestant) as database:
        contestant.fill(database, workflow, count)
        database.query("ANALYZE")
        with contestant.working(stage, database, count) as workers:
            first_left, first = _when(contestant, database, count * 0.9)
            used = cpu_seconds([*workers.pids(), *stage.database_pids()])
            last_left, last = _when(contestant, database, count * 0.1)
            used = cpu_seconds([*workers.pids(), *stage.database_pids()]) - used
    ended = first_left - last_left
    return Drain(ended / (last - first), used / ended * 1e6)


def launches(stage: Stage, contestant: Contestant) -> float:
    """Launches per second with the batches of a thousand that its interface takes, no worker running."""
    count = stage.size(_LAUNCHES)
    with _prepared(stage, contestant) as database:
        contestant.fill(database, "noop", 1000)
        return count / contestant.fill(database, "noop", count)


def start_delays(stage: Stage, contestant: Contestant) -> list[float]:
    """Milliseconds from launch to start with two idle processes."""
    with _prepared(stage, contestant) as database, contestant.working(stage, database, 100) as workers:
        workers.delays(5, _PAUSE)
        return [seconds * 1000 for seconds in workers.delays(stage.size(_SAMPLES), _PAUSE)]


def recovery(stage: Stage, contestant: Contestant) -> float | None:
    """Seconds from the kill -9 of a process until the other one goes on with its workflow; None when it does not."""
    with _prepared(stage, contestant) as database, contestant.working(stage, database, 100) as workers:
        return workers.recover(RECOVERY_TIMEOUT)


@contextmanager
def _prepared(stage: Stage, contestant: Contestant) -> Iterator[Database]:
    with stage.database() as database:
        contestant.prepare(stage, database)
        yield database


def _when(contestant: Contestant, database: Database, left: float) -> tuple[int, float]:
    """How many are left when it is at most so many, and when that was."""
    deadline = time.monotonic() + _DRAIN_TIMEOUT
    while (now := contestant.left(database)) > left:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{contestant.name}: {now} workflows are left after {_DRAIN_TIMEOUT:g} s")
        time.sleep(_LOOK)
    return now, time.perf_counter()
