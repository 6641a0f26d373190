"""durable as one contestant among others."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from benchmarks.recovery import next_event_after_kill
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import Database, workflow
from tests.engine.service import Service

_COMPONENTS = {"noop": "noop", "steps": "ten-events"}
_BATCH = 1000


class Durable:
    """Two workers under a supervisor, with the defaults."""

    name = "durable"
    drains: Mapping[str, int] = MappingProxyType({"noop": 12_000, "steps": 4_000})

    def prepare(self, stage: Stage, database: Database) -> None:
        """The database is made from a template that has the schema."""

    def fill(self, database: Database, workflow_name: str, count: int) -> float:
        with Client(database.url) as client:
            program = client.program(workflow(_COMPONENTS[workflow_name]))
            started = time.perf_counter()
            for first in range(0, count, _BATCH):
                client.launch_many(program, [("task", {"number": 1})] * min(_BATCH, count - first))
            return time.perf_counter() - started

    def left(self, database: Database) -> int:
        return int(
            database.value(
                "SELECT (SELECT count(*) FROM durable.task WHERE state = 'ready')"
                " + (SELECT count(*) FROM durable.task WHERE running_on IS NOT NULL)"
            )
        )

    @contextmanager
    def working(self, stage: Stage, database: Database, count: int, processes: int = 2) -> Iterator[DurableWorkers]:
        with stage.service(database, workers=processes) as service:
            yield DurableWorkers(database, service)


class DurableWorkers:
    def __init__(self, database: Database, service: Service) -> None:
        self._database = database
        self._service = service

    def pids(self) -> list[int]:
        return self._service.pids()

    def delays(self, samples: int, pause: float) -> list[float]:
        """From just before the launch to the moment at which the server gets the first event: later than the start."""
        sent = {}
        with Client(self._database.url) as client:
            program = client.program(workflow("ten-events"))
            for _ in range(samples):
                now = time.time()
                sent[client.launch("probe", program, {"n": 1})] = now
                time.sleep(pause * random.uniform(0.8, 1.2))
        self._database.wait_for_all()
        rows = self._database.query(
            "SELECT task_id, extract(epoch FROM created_at)::float8 FROM durable.event"
            " WHERE index = 0 AND task_id = ANY (%s)", list(sent),
        )  # fmt: skip
        assert len(rows) == samples
        return [started - sent[task] for task, started in rows]

    def recover(self, timeout: float) -> float | None:
        with Client(self._database.url) as client:
            program = client.program(workflow("sleep-n-go"))
            task = client.launch("busy", program, {"count": 200, "seconds": 0.02})
            return next_event_after_kill(self._database, self._service, task) / 1000
