"""A supervisor with fake workers as a test sees it from outside: processes, their log, what the workers did."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .processes import is_gone

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("fake_service.py")

#: Seconds until a test stops hoping.
PATIENCE = 15.0


class Event(NamedTuple):
    pid: int
    name: str
    worker_ids: list[int]


class Service:
    """`python fake_service.py`, in a process group of its own, like a service or a job of a shell."""

    def __init__(
        self, folder: Path, workers: int, config: dict[str, Any], limits: dict[str, Any], environ: dict[str, str]
    ) -> None:
        self.folder = folder
        self._config = config
        self._log = folder / "log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, folder, str(workers), json.dumps(config), json.dumps(limits)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                start_new_session=True,
            )
        self.pid = self.process.pid

    def end(self) -> None:
        """Whatever state it is in: nothing is left."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def exit_status(self) -> int:
        return self.process.wait(PATIENCE)

    def tell(self, name: str, text: str = "") -> None:
        """What the workers are to do from now on; see fake_service.py."""
        (self.folder / name).write_text(text)

    def reload(self, **config: Any) -> None:
        """Write these keys into the configuration, and ask for it to be read again."""
        self._config |= config
        self.tell("config", json.dumps(self._config))
        self.signal(signal.SIGHUP)

    def fleet(self) -> list[Any]:
        """What the exporter was told last: up, restarts, slots, ready."""
        try:
            return list(json.loads((self.folder / "fleet").read_text()))
        except (FileNotFoundError, ValueError):
            return []

    def untell(self, name: str) -> None:
        (self.folder / name).unlink()

    @property
    def log(self) -> str:
        return self._log.read_text()

    def log_position(self) -> int:
        """For `log_since`: a long log need not be read as a whole each time."""
        return self._log.stat().st_size

    def log_since(self, position: int) -> bytes:
        with self._log.open("rb") as file:
            file.seek(position)
            return file.read()

    def started_pids(self) -> list[int]:
        """Of all workers that there ever were."""
        return [int(pid) for pid in re.findall(r"started worker \d+ \(pid (\d+)\)", self.log)]

    def live_pids(self) -> list[int]:
        """Of the workers that have not ended, whatever they are at."""
        return [pid for pid in self.started_pids() if not is_gone(pid)]

    def events(self, *names: str) -> list[Event]:
        try:
            text = (self.folder / "events").read_text()
        except FileNotFoundError:
            return []
        complete = text[: text.rfind("\n") + 1].splitlines()
        events = [Event(**json.loads(line)) for line in complete]
        return [event for event in events if not names or event.name in names]

    def pids(self, name: str) -> list[int]:
        return [event.pid for event in self.events(name)]

    def reclaimed(self) -> set[int]:
        return {worker_id for event in self.events("reclaimed") for worker_id in event.worker_ids}

    def wait_until(self, condition: Callable[[], object], patience: float = PATIENCE, pause: float = 0.005) -> None:
        until = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < until, f"in vain for {patience} s; {self.events()}; log:\n{self.log}"
            time.sleep(pause)

    def ready_pids(self) -> list[int]:
        """Of the workers that live and that the supervisor has heard to be ready."""
        pids = re.findall(r"\(pid (\d+)\) is ready", self.log)
        return [pid for pid in map(int, pids) if not is_gone(pid)]

    def wait_ready(self, workers: int, patience: float = PATIENCE) -> list[int]:
        self.wait_until(lambda: len(self.ready_pids()) == workers, patience)
        return self.ready_pids()

    def wait_gone(self, pid: int) -> None:
        self.wait_until(lambda: is_gone(pid))

    def wait_log(self, text: str, times: int = 1) -> None:
        self.wait_until(lambda: self.log.count(text) >= times)
