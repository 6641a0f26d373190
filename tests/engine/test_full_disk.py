"""A disk that is really full (ENOSPC) costs a service time, and no task."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.database import Database, wait_until
from tests.engine.service import Service
from tests.engine.small_disk import as_seen_by, fill, on_a_small_disk, skip_unless_mountable

SAYS = "cannot write the program cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    skip_unless_mountable(folder)
    return folder


class ServiceOnSmallDisk(Service):
    """Its cache and its metrics are on the disk, its log is not."""

    def __init__(self, database: Database, folder: Path, log: Path) -> None:
        settings = {"poll_interval": "0.2", "metrics_addr": "127.0.0.1:0"}
        super().__init__(database, folder / "cache", log, 1, settings)
        self._command = [*on_a_small_disk(folder, "16m"), *self._command]
        self._environment["RUNTIME_DIRECTORY"] = str(folder)
        self._folder = folder

    @property
    def disk(self) -> Path:
        return as_seen_by(self.process.pid, self._folder)

    def begin_anew(self) -> None:
        """Another worker instead of this one."""
        [worker] = self.pids_of_workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: self.pids_of_workers() not in ([], [worker]), "another worker")

    def pids_of_workers(self) -> list[int]:
        return [pid for (pid,) in self._database.query("SELECT pid FROM durable.worker")]


@pytest.fixture
def service(database: Database, folder: Path, tmp_path: Path) -> Iterator[ServiceOnSmallDisk]:
    service = ServiceOnSmallDisk(database, folder, tmp_path / "log")
    try:
        service.start()
        yield service
    finally:
        service.stop()


def run(database: Database, workflow: str) -> None:
    task = database.launch(workflow)
    assert database.wait_for_end(task) == "complete", database.failure(task)


def test_tasks_run_on_a_full_disk_and_are_cached_once_there_is_room(
    database: Database, service: ServiceOnSmallDisk
) -> None:
    fill(service.disk / "filler")
    run(database, "six-steps")
    assert SAYS in service.log
    assert os.strerror(errno.ENOSPC) in service.log
    service.begin_anew()
    run(database, "ten-events")
    assert list(service.disk.glob("cache/*/*.cwasm")) == []
    (service.disk / "filler").unlink()
    told = service.log.count(SAYS)
    service.begin_anew()
    run(database, "six-steps")
    assert len(list(service.disk.glob("cache/*/*.cwasm"))) == 1
    assert service.log.count(SAYS) == told
