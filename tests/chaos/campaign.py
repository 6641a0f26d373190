"""A campaign: tasks that keep the workers busy, faults of all kinds between them, and everything judged in the end."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from durable.embedded import EmbeddedServer
from tests.chaos.faults import FAULTS, Fault, SupervisorKill, Target
from tests.chaos.launcher import Launcher, launching
from tests.chaos.oracle import judge
from tests.chaos.proxy import proxied
from tests.chaos.witness import Witnesses, witnesses
from tests.engine.database import Database, wait_until
from tests.engine.service import Service

#: Seconds without a heartbeat until a worker has lost its leases: enough for a busy machine, few enough to wait for.
LEASE = 3.0
SETTLE = 60.0
#: Running or waiting at a time.
WAVE = 150
#: Faults that break a launch that is under way.
BREAK_LAUNCHES = ("PostgresCrash", "Cut")

_SETTINGS = {
    "heartbeat_timeout": f"{LEASE}", "heartbeat_interval": "0.5", "suspend_timeout": "0.5", "poll_interval": "0.5",
    "egress_allow": "127.0.0.1",
}  # fmt: skip


@dataclass
class Plan:
    """How many tasks, and how many faults of each kind (names of FAULTS) that hit a running task."""

    tasks: int
    faults: Mapping[str, int]
    workers: int = 3
    timeout: float = 3000.0
    #: Launches that have to fail, at least.
    in_doubt: int = 0

    def shuffled(self, chance: random.Random) -> list[str]:
        kinds = [kind for kind, count in self.faults.items() for _ in range(count)]
        chance.shuffle(kinds)
        return kinds


class Campaign:
    """Strikes whenever the tasks have got as far as their share: a slow machine gets as many faults as a quick one."""

    def __init__(self, plan: Plan, target: Target, scene: Witnesses, launcher: Launcher) -> None:
        self._plan = plan
        self._target = target
        self._scene = scene
        self._launcher = launcher
        self._left = plan.shuffled(target.chance)
        self._faults: dict[str, Fault] = {kind: FAULTS[kind]() for kind in plan.faults}
        self.hits: Counter[str] = Counter()
        self.tasks_hit = 0
        self._total = len(self._left)
        target.load = self._load

    def run(self) -> str:
        """The figures. Raises AssertionError when something is not as it has to be, or too little was hit."""
        deadline = time.monotonic() + self._plan.timeout
        while self._left or self._launched() < self._plan.tasks:
            assert time.monotonic() < deadline, f"not done after {self._plan.timeout:g} s: {self}"
            self._load()
            if self._left and self._total - len(self._left) <= self._total * self._progress():
                self._strike()
            time.sleep(self._target.chance.uniform(0.02, 0.2))
        self._launcher.stop()
        settled = self._settle()
        assert self.hits == Counter(self._plan.faults)
        assert self._scene.crowd.ledger.in_doubt >= self._plan.in_doubt, "too few launches failed"
        told = "\n".join(str(fault) for fault in self._faults.values() if isinstance(fault, SupervisorKill))
        return f"{judge(self._scene)}\n{self}\n{told}\nall ended {settled:.0f} s after the last fault"

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.hits.items()))
        return f"{self.hits.total()} of {self._total} faults hit {self.tasks_hit} running tasks: {faults}"

    def _progress(self) -> float:
        return self._launched() / self._plan.tasks

    def _launched(self) -> int:
        return self._scene.crowd.ledger.acknowledged

    def _load(self) -> None:
        self._scene.crowd.tell()
        room = min(WAVE - self._scene.unfinished(), self._plan.tasks - self._launched())
        if room > 0:
            self._scene.crowd.launch(room)
        elif self._left and self._launched() >= self._plan.tasks and not self._scene.unfinished():
            self._scene.crowd.launch(WAVE)  # the last faults need something to hit, too

    def _strike(self) -> None:
        kind = self._left[-1]
        with self._launcher.hurrying() if kind in BREAK_LAUNCHES else nullcontext():
            hit = self._faults[kind].strike(self._target)
        if hit:
            self._left.pop()
            self.hits[kind] += 1
            self.tasks_hit += hit

    def _settle(self) -> float:
        """Seconds until everything has ended, and at most SETTLE of them."""
        since = time.monotonic()

        def ended() -> bool:
            self._scene.crowd.tell(0)
            return self._scene.crowd.has_told_all() and not self._scene.unfinished()

        wait_until(ended, "the end of all tasks after the last fault", SETTLE)
        return time.monotonic() - since


class PipedService(Service):
    """A service whose log is a pipe: a limit on the size of its files must not concern what it says."""

    def __init__(self, database: Database, cache_folder: Path, folder: Path, workers: int, settings: dict[str, str]):
        self._copy = folder / "service.log"
        pipe = folder / "service.pipe"
        os.mkfifo(pipe)
        # Both ends, so that it stays open over all restarts of the service.
        self._reader = os.open(pipe, os.O_RDWR)
        threading.Thread(target=self._drain, name="log", daemon=True).start()
        super().__init__(database, cache_folder, pipe, workers, settings)

    @property
    def log(self) -> str:
        return self._copy.read_text(errors="replace")

    def _drain(self) -> None:
        with self._copy.open("wb", buffering=0) as copy:
            while data := os.read(self._reader, 1 << 16):
                copy.write(data)


@contextmanager
def campaign(
    plan: Plan, seed: int, database: Database, server: EmbeddedServer, cache_folder: Path, folder: Path
) -> Iterator[Campaign]:
    """Everything that a campaign needs, running."""
    chance = random.Random(seed)
    with (
        witnesses(database, chance) as scene,
        proxied(database.url) as proxy,
        # The workers and the launcher reach PostgreSQL through the proxy, the witnesses and the nemesis do not.
        closing(Database(proxy.url(database.url))) as of_workers,
        launching(scene.crowd, of_workers.url, random.Random(seed)) as launcher,
    ):
        service = PipedService(of_workers, cache_folder, folder, plan.workers, _SETTINGS)
        try:
            service.start()
            target = Target(chance, database, server, service, proxy, cache_folder, LEASE)
            yield Campaign(plan, target, scene, launcher)
        finally:
            proxy.hear()
            service.stop()
        assert service.process.returncode == 0, service.log[-3000:]
