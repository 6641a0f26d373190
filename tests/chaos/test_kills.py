"""A long run with random faults. Prints its seed; a run whose faults hit too little is red, not green."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer
from tests.chaos.nemesis import Nemesis, seed
from tests.engine.database import Database
from tests.engine.service import running_service

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1200)]

TASKS = 1000
STEPS = 10
WAVE = 100
KILLS = 100
RESTARTS = 5
SETTLE = 60.0


def test_nothing_is_lost_and_nothing_is_doubled(
    database_url: str, server: EmbeddedServer, cache_folder: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed())
    database = Database(database_url)
    launched: list[int] = []
    with running_service(database, cache_folder, tmp_path / "log", workers=2) as service:
        nemesis = Nemesis(chance, database, server, service, kills=KILLS, restarts=RESTARTS)
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
    assert nemesis.is_done
    expected = "".join(f"{n} of {STEPS}\n" for n in range(1, STEPS + 1))
    for task in launched:
        assert database.state(task) == "complete", database.failure(task)
        database.assert_dense(task)
        assert database.log(task) == expected
    database.close()
    print(f"{len(launched)} tasks, {nemesis}")
