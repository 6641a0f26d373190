"""Twenty rolling restarts under load: no task fails, none is lost, and there are always workers."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.engine.database import Database
from tests.engine.service import Service, running_service

pytestmark = [pytest.mark.chaos(minutes=2), pytest.mark.timeout(1800)]

RESTARTS = 20
TASKS_PER_SECOND = 50
STEPS = 5
SETTLE = 120.0
DONE = "all workers have the new configuration"


class Load:
    """Launches tasks at a steady rate, as far as the machine allows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._began = time.monotonic()
        self.tasks: list[int] = []

    def catch_up(self) -> None:
        due = int((time.monotonic() - self._began) * TASKS_PER_SECOND) - len(self.tasks)
        for _ in range(due):
            self.tasks.append(self._database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.1}))


def restart(service: Service, load: Load, number: int) -> None:
    service.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 120
    while service.log.count(DONE) < number:
        assert time.monotonic() < deadline, service.log[-3000:]
        load.catch_up()
        time.sleep(0.02)


def test_nothing_fails_and_nothing_is_lost(database: Database, cache_folder: Path, tmp_path: Path) -> None:
    with running_service(database, cache_folder, tmp_path / "log", workers=2) as service:
        load = Load(database)
        for number in range(1, RESTARTS + 1):
            before = set(service.pids())
            restart(service, load, number)
            assert not before & set(service.pids())
        database.wait_for_all(SETTLE)
    assert service.process.returncode == 0, service.log[-3000:]
    expected = "".join(f"{n} of {STEPS}\n" for n in range(1, STEPS + 1))
    for task in load.tasks:
        assert database.state(task) == "complete", database.failure(task)
        database.assert_dense(task)
        assert database.log(task) == expected
    assert "was killed" not in service.log
    print(f"{len(load.tasks)} tasks, {RESTARTS} rolling restarts")
