"""What an idle worker costs while very many tasks are suspended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.figures import Figure, figure
from benchmarks.processes import MIB, cpu_seconds, proportional_bytes, resident_bytes, wait_until_idle
from benchmarks.stage import Stage
from tests.engine.database import Database, workflow

_SUSPENDED = (100_000, 1_000_000)
_SECONDS = 10.0
_WARM_UP = 3.0  # until then sessions have told the statistics what they did before


def suspended(stage: Stage) -> Iterator[Figure]:
    """Memory, CPU and transactions of one worker beside 100,000 and 1,000,000 suspended tasks."""
    for count in _SUSPENDED:
        yield from _beside(stage, stage.size(count))


def _beside(stage: Stage, count: int) -> Iterator[Figure]:
    """Half of them sleep, half wait."""
    with stage.database() as database:
        _suspend(database, count)
        with stage.service(database, workers=1) as service:
            [worker] = service.pids()
            wait_until_idle([worker])
            _measure(stage, database, worker, _WARM_UP)
            idle = [_measure(stage, database, worker, _SECONDS) for _ in range(stage.rounds)]
    beside = f"beside {count:,} suspended tasks"
    yield figure(f"idle worker {beside}, RSS", "MiB", [one.resident for one in idle])
    yield figure(f"idle worker {beside}, PSS", "MiB", [one.proportional for one in idle])
    yield figure(f"idle worker {beside}, transactions", "per s", [one.transactions for one in idle])
    yield figure(f"idle worker {beside}, its CPU", "%", [one.worker_cpu for one in idle])
    yield figure(f"idle worker {beside}, PostgreSQL's CPU", "%", [one.database_cpu for one in idle])


@dataclass(frozen=True, slots=True)
class Idle:
    """MiB, transactions per second, and per cent of one CPU."""

    resident: float
    proportional: float
    transactions: float
    worker_cpu: float
    database_cpu: float


def _suspend(database: Database, count: int) -> None:
    database.query(
        "INSERT INTO durable.task (name, wasm, state, wakeup_at, wakes_on_notification)"
        " SELECT 'asleep', %s, 'suspended', CASE WHEN n %% 2 = 0 THEN durable.now() + interval '1 day' END, n %% 2 = 1"
        " FROM generate_series(1, %s) AS n",
        database.program(workflow("noop")), count,
    )  # fmt: skip
    database.query("VACUUM ANALYZE durable.task")


def _measure(stage: Stage, database: Database, worker: int, duration: float) -> Idle:
    server = stage.database_pids()
    used = cpu_seconds([worker]), cpu_seconds(server)
    transactions, started = _transactions(database), time.perf_counter()
    time.sleep(duration)
    seconds = time.perf_counter() - started
    return Idle(
        resident=resident_bytes(worker) / MIB,
        proportional=proportional_bytes(worker) / MIB,
        transactions=(_transactions(database) - transactions - 1) / seconds,
        worker_cpu=(cpu_seconds([worker]) - used[0]) / seconds * 100,
        database_cpu=(cpu_seconds(server) - used[1]) / seconds * 100,
    )


def _transactions(database: Database) -> int:
    """Of the whole database so far. This look is one too: PostgreSQL counts it when it is over."""
    return int(
        database.value("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
    )
