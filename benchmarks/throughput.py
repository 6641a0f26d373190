"""How many workflows per second the workers get through when there is always more to do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure, figure
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from durable.client import Client
from durable.model import Program
from tests.engine.database import Database, wait_until, workflow

_EVENTS = 10


def no_op(stage: Stage) -> Iterator[Figure]:
    """Workflows that do nothing: the cost of a task itself."""
    drains = _drains(stage, "noop", stage.size(6000), workers=2)
    yield figure("no-op tasks, 2 workers", "tasks/s", [drain.rate for drain in drains])
    yield from _cpu("no-op task", drains)


def ten_events(stage: Stage) -> Iterator[Figure]:
    """Workflows that record ten transactions, the cost of a journal on top."""
    for workers, count in ((2, 4000), (1, 3000)):
        drains = _drains(stage, "ten-events", stage.size(count), workers)
        who = f"{workers} worker{'s'[: workers - 1]}"
        yield figure(f"10-event workflows, {who}", "workflows/s", [drain.rate for drain in drains])
        yield figure(f"… events, {who}", "events/s", [drain.rate * _EVENTS for drain in drains])
    yield from _cpu("10-event workflow", drains)


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


def _drains(stage: Stage, name: str, count: int, workers: int) -> list[Drain]:
    with (
        stage.database() as database,
        Client(database.url) as client,
        stage.service(database, workers=workers) as service,
    ):
        program = client.program(workflow(name))
        _drain(database, client, program, max(count // 4, 1), ([], []))
        # As autovacuum does within a minute: plans made without statistics are not those that a service lives with.
        database.query("ANALYZE")
        processes = (service.pids(), stage.database_pids())
        drains = [_drain(database, client, program, count, processes) for _ in range(stage.rounds)]
        assert not database.value("SELECT count(*) FROM durable.task WHERE state <> 'complete'")
        return drains


def _drain(
    database: Database, client: Client, program: Program, count: int, processes: tuple[list[int], list[int]]
) -> Drain:
    before = [cpu_seconds(pids) for pids in processes]
    client.launch_many(program, [(f"task {number}", None) for number in range(count)])
    started = time.perf_counter()
    wait_until(lambda: _is_drained(database), f"the end of {count} tasks", timeout=60)
    seconds = time.perf_counter() - started
    worker, server = (cpu_seconds(pids) - used for pids, used in zip(processes, before, strict=True))
    return Drain(count, seconds, worker, server)


def _is_drained(database: Database) -> bool:
    """Two looks at partial indexes that are nearly empty by then: what is polled must not cost what is measured."""
    return not database.value(
        "SELECT EXISTS (SELECT FROM durable.task WHERE state = 'ready')"
        " OR EXISTS (SELECT FROM durable.task WHERE running_on IS NOT NULL)"
    )


def _cpu(what: str, drains: list[Drain]) -> Iterator[Figure]:
    yield figure(f"… worker's CPU for a {what}", "µs", [drain.worker_cpu / drain.count * 1e6 for drain in drains])
    yield figure(f"… PostgreSQL's CPU for a {what}", "µs", [drain.database_cpu / drain.count * 1e6 for drain in drains])
