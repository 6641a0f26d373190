"""A long run with random faults. Prints its seed; a run whose faults hit too little is red, not green."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer
from tests.engine.database import Database
from tests.engine.service import Service, running_service

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

TASKS = 1000
STEPS = 10
WAVE = 100
KILLS = 100
RESTARTS = 5
SETTLE = 60.0


def seed() -> int:
    return int(os.environ.get("DURABLE_SEED", random.randrange(2**32)))


def active_tasks_of(database: Database, pid: int) -> int:
    return int(
        database.value(
            "SELECT count(*) FROM durable.task t JOIN durable.worker w ON w.id = t.running_on "
            "WHERE t.state = 'active' AND w.pid = %s", pid,
        )
    )  # fmt: skip


class Nemesis:
    """Kills workers and restarts PostgreSQL, and counts what it hit."""

    def __init__(self, chance: random.Random, database: Database, server: EmbeddedServer, service: Service) -> None:
        self._chance = chance
        self._database = database
        self._server = server
        self._service = service
        self.hits = 0
        self.restarts = 0

    def strike(self) -> None:
        if self.restarts < RESTARTS and self._chance.random() < 0.05:
            self._server.restart("immediate")
            self.restarts += 1
            return
        pid = self._chance.choice(self._service.pids() or [0])
        if pid and active_tasks_of(self._database, pid):
            os.kill(pid, signal.SIGKILL)
            self.hits += 1

    @property
    def is_done(self) -> bool:
        return self.hits >= KILLS and self.restarts >= RESTARTS


def test_nothing_is_lost_and_nothing_is_doubled(
    database_url: str, server: EmbeddedServer, cache_folder: Path, tmp_path: Path
) -> None:
    number = seed()
    print("DURABLE_SEED", number)
    chance = random.Random(number)
    database = Database(database_url)
    launched: list[int] = []
    with running_service(database, cache_folder, tmp_path / "log", workers=2) as service:
        nemesis = Nemesis(chance, database, server, service)
        deadline = time.monotonic() + 900
        while not nemesis.is_done or len(launched) < TASKS:
            assert time.monotonic() < deadline, (nemesis.hits, nemesis.restarts)
            waiting = database.value("SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active')")
            if waiting < WAVE:
                launched += [database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1}) for _ in range(WAVE)]
            nemesis.strike()
            time.sleep(chance.uniform(0.2, 0.8))
        database.wait_for_all(SETTLE)
    assert service.process.returncode == 0, service.log[-3000:]
    assert nemesis.hits >= KILLS
    expected = "".join(f"{n} of {STEPS}\n" for n in range(1, STEPS + 1))
    for task in launched:
        assert database.state(task) == "complete", database.failure(task)
        database.assert_dense(task)
        assert database.log(task) == expected
    database.close()
    print(f"{len(launched)} tasks, {nemesis.hits} kills of a busy worker, {nemesis.restarts} restarts of PostgreSQL")
