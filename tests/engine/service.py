"""The real service, as an operator runs it: `durable supervise` with worker processes that can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.database import Database, wait_until


class Service:
    def __init__(
        self, database: Database, cache_folder: Path, log: Path, workers: int, settings: dict[str, str]
    ) -> None:
        self._database = database
        self._log = log
        self._workers = workers
        self._command = [sys.executable, "-m", "durable", "supervise", "--workers", str(workers)]
        self._environment = {
            **os.environ,
            "DURABLE_DATABASE_URL": database.url,
            "DURABLE_CACHE_FOLDER": str(cache_folder),
            "DURABLE_METRICS_ADDR": "off",
            **{f"DURABLE_{key.upper()}": value for key, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when all workers are registered."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.wait_for_workers(self._workers)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Worker processes that are alive, as the kernel knows them."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def readiness(self) -> tuple[int, str]:
        """What /readyz answers, wherever that is served."""
        [url] = re.findall(r"served at (http\S+)/metrics", self.log)
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read().decode()

    def wait_for_workers(self, count: int) -> None:
        def registered() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.log}")
            alive = set(self.pids())
            rows = self._database.query("SELECT pid FROM durable.worker")
            return len(alive & {row[0] for row in rows}) >= count

        wait_until(registered, f"{count} registered workers")

    def worker_of(self, task: int) -> int | None:
        """The pid of the worker that runs the task now."""
        pid = self._database.value(
            "SELECT w.pid FROM durable.task t JOIN durable.worker w ON w.id = t.running_on "
            "WHERE t.id = %s AND t.state = 'active'", task,
        )  # fmt: skip
        return None if pid is None else int(pid)

    def terminate(self, timeout: float = 40.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """The whole service at once, with nothing that could clean up."""
        for pid in [self.process.pid, *self.pids()]:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            for pid in self.pids():
                os.kill(pid, signal.SIGCONT)
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                self.kill()
                raise


@contextmanager
def running_service(
    database: Database, cache_folder: Path, log: Path, /, *, workers: int = 2, **settings: str
) -> Iterator[Service]:
    service = Service(database, cache_folder, log, workers, settings)
    try:
        service.start()
        yield service
    finally:
        service.stop()
