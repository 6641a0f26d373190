"""The faults of a campaign, one class each. `strike` says how many running tasks it hit; without any, it missed."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from durable.embedded import EmbeddedServer
from tests.chaos.nemesis import active_tasks_of
from tests.chaos.proxy import Proxy
from tests.engine.database import Database, wait_until
from tests.engine.service import Service


@dataclass
class Target:
    """All that a fault can lay hands on."""

    chance: random.Random
    database: Database
    server: EmbeddedServer
    service: Service
    proxy: Proxy
    cache_folder: Path
    #: Seconds after which a silent worker has lost its leases.
    lease: float
    #: The clients go on meanwhile: called again and again while a fault lasts.
    load: Callable[[], None] = lambda: None

    def pass_time(self, seconds: float) -> None:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            self.load()
            time.sleep(0.05)

    def active_tasks(self) -> int:
        return int(self.database.value("SELECT count(*) FROM durable.task WHERE state = 'active'"))

    def busy_worker(self) -> int | None:
        """The pid of a worker that runs a task. One that was killed a moment ago still has its tasks."""
        pids = [pid for pid in self.service.pids() if is_alive(pid)]
        self.chance.shuffle(pids)
        return next((pid for pid in pids if active_tasks_of(self.database, pid)), None)


class Fault(Protocol):
    def strike(self, target: Target) -> int: ...


class WorkerKill:
    """kill -9 of a worker."""

    def strike(self, target: Target) -> int:
        pid = target.busy_worker()
        if pid is None:
            return 0
        os.kill(pid, signal.SIGSTOP)  # so that what is counted is what is hit
        hit = active_tasks_of(target.database, pid)
        os.kill(pid, signal.SIGKILL)
        return hit


class SupervisorKill:
    """kill -9 of the supervisor alone: its workers have to die with it, and the tasks go on when it is back."""

    def __init__(self) -> None:
        self._slowest = self._longest = 0.0

    def strike(self, target: Target) -> int:
        workers = target.service.pids()
        hit = target.active_tasks()
        os.kill(target.service.process.pid, signal.SIGKILL)
        killed = time.monotonic()
        target.service.process.wait()
        for pid in workers:
            wait_until(lambda pid=pid: not is_alive(pid), f"the end of worker {pid}")  # type: ignore[misc]
        gone = time.monotonic()
        target.service.start()
        self._slowest = max(self._slowest, gone - killed)
        self._longest = max(self._longest, time.monotonic() - gone)
        return hit

    def __str__(self) -> str:
        return (
            f"workers outlived their supervisor by {self._slowest:.2f} s at most, "
            f"the service was back after {self._longest:.1f} s at most"
        )


class Freeze:
    """SIGSTOP of a worker until others have its tasks, and a while longer; then it goes on, as if it still had them."""

    def strike(self, target: Target) -> int:
        pid = target.busy_worker()
        if pid is None:
            return 0
        os.kill(pid, signal.SIGSTOP)
        try:
            hit = active_tasks_of(target.database, pid)
            wait_until(
                lambda: not target.database.value("SELECT count(*) FROM durable.worker WHERE pid = %s", pid),
                "others have the tasks of a stopped worker",
            )
            time.sleep(target.chance.uniform(0, 0.3))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        return hit


class PostgresCrash:
    """PostgreSQL stops at once, as in a crash, and recovers."""

    def strike(self, target: Target) -> int:
        hit = target.active_tasks()
        target.server.restart("immediate")
        return hit


class Cut:
    """All connections of all workers break, and the last answers are lost: what was committed, and what not?"""

    def strike(self, target: Target) -> int:
        hit = target.active_tasks()
        target.proxy.go_mute()
        time.sleep(target.chance.uniform(0, 0.1))
        return hit if target.proxy.cut() else 0


class Deafness:
    """Nothing gets through until the leases are over, then everything that was sent arrives, late."""

    def strike(self, target: Target) -> int:
        hit = target.active_tasks()
        target.proxy.go_deaf()
        target.pass_time(target.lease * target.chance.uniform(0.8, 1.3))
        target.proxy.hear()
        return hit


class Delay:
    """Each message takes its time, for a while."""

    def strike(self, target: Target) -> int:
        hit = target.active_tasks()
        target.proxy.delay = target.chance.uniform(0.005, 0.05)
        target.pass_time(target.lease)
        target.proxy.delay = 0.0
        return hit


class Refusal:
    """All connections break and no new ones are accepted, for a while."""

    def strike(self, target: Target) -> int:
        hit = target.active_tasks()
        target.proxy.refuses = True
        target.proxy.cut()
        many = 2 * len(target.service.pids())  # more than those of clients
        wait_until(lambda: target.proxy.refused >= many, "connections that were refused")
        target.proxy.refuses = False
        target.proxy.refused = 0
        return hit


class LostHints:
    """No NOTIFY arrives, for a while; tasks that are launched meanwhile have to be found without."""

    def strike(self, target: Target) -> int:
        newest = target.database.value("SELECT coalesce(max(id), 0) FROM durable.task")
        lost = target.proxy.hints_lost
        target.proxy.loses_hints = True
        try:
            target.pass_time(target.lease)
            launched = int(target.database.value("SELECT count(*) FROM durable.task WHERE id > %s", newest))
            if not launched or target.proxy.hints_lost == lost:
                return 0
            wait_until(
                lambda: target.database.value(
                    "SELECT count(*) FROM durable.task WHERE id > %s AND lease > 0", newest
                ) >= launched, "the start of tasks that nobody was told of", 60,
            )  # fmt: skip
            return launched
        finally:
            target.proxy.loses_hints = False


class FullCache:
    """The cache of compiled programs is lost, no disk space is left for another, and all workers have to begin anew.

    A limit on the size of files stands in for a full disk, which takes root to make: writing fails in the same place,
    with EFBIG instead of ENOSPC. It leaves room for the memory of programs, which is a file to the kernel.
    """

    def strike(self, target: Target) -> int:
        compiled = list(target.cache_folder.rglob("*.cwasm"))
        if not compiled:
            return 0
        said = target.service.log.count("cannot write the program cache")
        self._limit(target.service, max(file.stat().st_size for file in compiled) // 2)
        for file in compiled:
            file.unlink()
        hit = target.active_tasks()
        for pid in target.service.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if hit:
            wait_until(
                lambda: target.service.log.count("cannot write the program cache") > said, "a cache that is full", 60
            )
        self._limit(target.service, resource.RLIM_INFINITY)
        return hit

    def _limit(self, service: Service, size: int) -> None:
        for pid in [service.process.pid, *service.pids()]:
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class RollingRestart:
    """SIGHUP to the supervisor: each worker is drained and replaced, one after the other."""

    def strike(self, target: Target) -> int:
        hit, old = target.active_tasks(), target.service.pids()
        target.service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not set(old) & set(target.service.pids()), "the end of all old workers", 120)
        target.service.wait_for_workers(len(old))
        return hit


def is_alive(pid: int) -> bool:
    """Zombies are not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


#: What a campaign can be made of.
FAULTS: dict[str, Callable[[], Fault]] = {
    kind.__name__: kind
    for kind in (
        WorkerKill, SupervisorKill, Freeze, PostgresCrash, Cut, Deafness, Delay, Refusal, LostHints, FullCache,
        RollingRestart,
    )
}  # fmt: skip
