"""Faults at random moments, from a seed that is printed, and a count of what they hit."""

from __future__ import annotations

import os
import random
import signal

from durable.embedded import EmbeddedServer
from tests.engine.database import Database
from tests.engine.service import Service


def seed() -> int:
    """That of DURABLE_SEED, so that a run can be repeated, or any."""
    number = int(os.environ.get("DURABLE_SEED", random.randrange(2**32)))
    print("DURABLE_SEED", number)
    return number


class Nemesis:
    """Kills workers and restarts PostgreSQL, and counts what it hit.

    It is done once `kills` hit a worker with an active task, and PostgreSQL was restarted `restarts` times.
    """

    def __init__(
        self, chance: random.Random, database: Database, server: EmbeddedServer, service: Service, *, kills: int,
        restarts: int,
    ) -> None:  # fmt: skip
        self._chance = chance
        self._database = database
        self._server = server
        self._service = service
        self._kills = kills
        self._restarts = restarts
        self.hits = 0
        self.restarts = 0
        #: Tasks that were cut short by a fault: active on a killed worker, or not over when PostgreSQL was restarted.
        self.cut_short = 0

    def keep_up(self, progress: float) -> None:
        """Strike when the tasks, of which such a share is launched, have got as far as the faults.

        A slow machine gets as many faults as a quick one: with more of them it would get nowhere.
        """
        if (self.hits + self.restarts) / (self._kills + self._restarts) <= progress:
            self.strike()

    def strike(self) -> None:
        if self.restarts < self._restarts and self._chance.random() < max(0.05, self._restarts / self._kills):
            self._restart()
            return
        pid = self._chance.choice(self._service.pids() or [0])
        if pid and active_tasks_of(self._database, pid):
            self._kill(pid)

    @property
    def is_done(self) -> bool:
        return self.hits >= self._kills and self.restarts >= self._restarts

    def __str__(self) -> str:
        return f"{self.hits} kills of a busy worker, {self.restarts} restarts of PostgreSQL"

    def _kill(self, pid: int) -> None:
        # Stopped first, so that what is counted is what is hit.
        os.kill(pid, signal.SIGSTOP)
        self.cut_short += active_tasks_of(self._database, pid)
        os.kill(pid, signal.SIGKILL)
        self.hits += 1

    def _restart(self) -> None:
        self.cut_short += self._database.value(
            "SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active', 'suspended')"
        )
        self._server.restart("immediate")
        self.restarts += 1


def active_tasks_of(database: Database, pid: int) -> int:
    return int(
        database.value(
            "SELECT count(*) FROM durable.task t JOIN durable.worker w ON w.id = t.running_on "
            "WHERE t.state = 'active' AND w.pid = %s", pid,
        )
    )  # fmt: skip
