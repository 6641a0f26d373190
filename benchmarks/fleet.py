"""What a launch costs where many workers are idle: how many of them it sets to claiming."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from benchmarks.figures import Figure, figure
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from durable.client import Client
from durable.model import Program
from tests.engine.database import Database, wait_until, workflow

_FLEETS = (2, 8, 24)
_LAUNCHES = 200
_PAUSE = (0.02, 0.04)


def fleet(stage: Stage) -> Iterator[Figure]:
    """Launches of single tasks that do nothing, on 2, 8 and 24 idle workers."""
    for workers in _FLEETS:
        with (
            stage.database() as database,
            Client(database.url) as client,
            stage.service(database, workers=workers) as service,
        ):
            program = client.program(workflow("noop"))
            wait_until(lambda database=database: _know_each_other(database), "heartbeats", timeout=60)  # type: ignore[misc]
            processes = (service.pids(), stage.database_pids())
            _launch(client, program, database, stage.size(_LAUNCHES // 4))
            rounds = []
            for _ in range(stage.rounds):
                count = stage.size(_LAUNCHES)
                before = [cpu_seconds(pids) for pids in processes]
                _launch(client, program, database, count)
                rounds.append([(cpu_seconds(p) - used) / count for p, used in zip(processes, before, strict=True)])
        of_workers, of_database = zip(*rounds, strict=True)
        yield figure(f"{workers} idle workers: their CPU for a launch", "ms", [used * 1e3 for used in of_workers])
        yield figure("… PostgreSQL's CPU for it", "ms", [used * 1e3 for used in of_database])


def _know_each_other(database: Database) -> bool:
    """Each has had a heartbeat since the last one came."""
    return bool(database.value("SELECT min(heartbeat_at) > max(started_at) + interval '0.1 s' FROM durable.worker"))


def _launch(client: Client, program: Program, database: Database, count: int) -> None:
    for _ in range(count):
        client.launch("task", program)
        time.sleep(random.uniform(*_PAUSE))
    database.wait_for_all()
