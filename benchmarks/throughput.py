"""How many workflows per second the workers get through when there is always more to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.bare import bare
from benchmarks.figures import Figure, figure
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from durable.client import Client
from durable.model import Program
from tests.engine.database import Database, wait_until, workflow

_EVENTS = 10


def no_op(stage: Stage) -> Iterator[Figure]:
    """Workflows that do nothing: the cost of a task itself."""
    count = stage.size(6000)
    with _working(stage, "noop", workers=2) as working:
        working.warm_up(count)
        drains = [working.drain(count) for _ in range(stage.rounds)]
    yield figure("no-op tasks, 2 workers", "tasks/s", [drain.rate for drain in drains])
    yield from _cpu("no-op task", drains)


def ten_events(stage: Stage) -> Iterator[Figure]:
    """Workflows that record ten transactions, the cost of a journal on top; and what bare group commit reaches."""
    count = stage.size(3000)
    with (
        _working(stage, "ten-events", workers=2) as two,
        _working(stage, "ten-events", workers=1) as one,
        stage.database() as database,
        bare(database, _EVENTS) as prototype,
    ):
        two.warm_up(count)
        one.warm_up(count)
        prototype.drain(count)
        # In turn, so that what is compared has the same weather.
        rounds = [(two.drain(count), one.drain(count), prototype.drain(2 * count)) for _ in range(stage.rounds)]
    twos, ones, bounds = zip(*rounds, strict=True)
    for who, drains in (("2 workers", twos), ("1 worker", ones)):
        yield figure(f"10-event workflows, {who}", "workflows/s", [drain.rate for drain in drains])
        yield figure(f"… events, {who}", "events/s", [drain.rate * _EVENTS for drain in drains])
    yield figure("… 2 workers / 1 worker", "times", [a.rate / b.rate for a, b in zip(twos, ones, strict=True)])
    yield figure("bare group commit, 2 processes", "events/s", bounds)
    shares = [drain.rate * _EVENTS / bound for drain, bound in zip(twos, bounds, strict=True)]
    yield figure("… events of 2 workers / bare", "times", shares)
    yield from _cpu("10-event workflow", ones)


@dataclass(frozen=True, slots=True)
class Drain:
    """`count` tasks from the commit that launched them to the commit that ended the last one."""

    count: int
    seconds: float
    worker_cpu: float
    database_cpu: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


class Working:
    """A service that works off whatever is launched of one program."""

    def __init__(self, stage: Stage, database: Database, client: Client, program: Program, workers: list[int]) -> None:
        self.database = database
        self._stage = stage
        self._client = client
        self._program = program
        self.workers = workers

    def warm_up(self, count: int) -> None:
        self.drain(max(count // 4, 1))
        # As autovacuum does within a minute: plans made without statistics are not those that a service lives with.
        self.database.query("ANALYZE")

    def drain(self, count: int) -> Drain:
        processes = (self.workers, self._stage.database_pids())
        before = [cpu_seconds(pids) for pids in processes]
        self._client.launch_many(self._program, [(f"task {number}", None) for number in range(count)])
        started = time.perf_counter()
        wait_until(lambda: _is_drained(self.database), f"the end of {count} tasks", timeout=60)
        seconds = time.perf_counter() - started
        worker, server = (cpu_seconds(pids) - used for pids, used in zip(processes, before, strict=True))
        return Drain(count, seconds, worker, server)


@contextmanager
def working(stage: Stage, database: Database, name: str, workers: int) -> Iterator[Working]:
    with Client(database.url) as client, stage.service(database, workers=workers) as service:
        at_work = Working(stage, database, client, client.program(workflow(name)), service.pids())
        yield at_work
        unfinished = "SELECT EXISTS (SELECT FROM durable.task WHERE state IN ('failed', 'quarantined'))"
        assert not database.value(unfinished)


@contextmanager
def _working(stage: Stage, name: str, workers: int) -> Iterator[Working]:
    with stage.database() as database, working(stage, database, name, workers) as at_work:
        yield at_work


def _is_drained(database: Database) -> bool:
    """Two looks at partial indexes that are nearly empty by then: what is polled must not cost what is measured."""
    return not database.value(
        "SELECT EXISTS (SELECT FROM durable.task WHERE state = 'ready')"
        " OR EXISTS (SELECT FROM durable.task WHERE running_on IS NOT NULL)"
    )


def _cpu(what: str, drains: Sequence[Drain]) -> Iterator[Figure]:
    yield figure(f"… worker's CPU for a {what}", "µs", [drain.worker_cpu / drain.count * 1e6 for drain in drains])
    yield figure(f"… PostgreSQL's CPU for a {what}", "µs", [drain.database_cpu / drain.count * 1e6 for drain in drains])
