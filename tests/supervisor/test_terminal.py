"""SIGHUP means two things: a terminal that is gone, or a wish to reload. Whatever stderr is."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .service import PATIENCE, PROGRAM, ROOT


class Job:
    """A supervisor with one fake worker, started from a terminal of its own, and its log in a file."""

    def __init__(self, folder: Path, log_goes: str, *, detached: bool = False, ignoring: bool = False) -> None:
        self.master, self._slave = os.openpty()
        self.log_file = folder / "log"
        config = '{"metrics_addr": "off", "log_file": "%s"}' if log_goes == "log_file" else '{"metrics_addr": "off"}'
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, folder, "1", config.replace("%s", str(self.log_file)), "{}"],
                stdin=self._slave, stdout=self._slave, stderr=log if log_goes == "stderr" else self._slave,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                preexec_fn=lambda: self._begin(detached, ignoring),
            )  # fmt: skip
        os.close(self._slave)

    def _begin(self, detached: bool, ignoring: bool) -> None:
        os.setsid()
        if not detached:
            fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)  # as nohup(1) does, or not

    def close_terminal(self) -> None:
        os.close(self.master)
        self.master = -1

    def wait_log(self, text: str, times: int = 1) -> None:
        until = time.monotonic() + PATIENCE
        while self.log_file.read_text().count(text) < times:
            assert time.monotonic() < until, self.log_file.read_text()
            time.sleep(0.01)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.master >= 0:
            self.close_terminal()


Start = Callable[..., Job]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    jobs: list[Job] = []

    def start(log_goes: str, **how: bool) -> Job:
        jobs.append(Job(tmp_path, log_goes, **how))
        return jobs[-1]

    yield start
    for job in jobs:
        job.end()


@contextmanager
def a_reload(job: Job) -> Iterator[None]:
    """What happens inside is a reload, and the service goes on."""
    before = job.log_file.read_text().count("all workers have the new configuration")
    yield
    job.wait_log("all workers have the new configuration", before + 1)
    assert job.process.poll() is None


def test_a_service_whose_terminal_is_closed_drains_and_ends(start: Start) -> None:
    job = start("terminal")
    said = b""
    while b"is ready" not in said:
        said += os.read(job.master, 4096)
    job.close_terminal()
    assert job.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("log_goes", ["stderr", "log_file"])
def test_so_it_does_when_its_log_goes_elsewhere(start: Start, log_goes: str) -> None:
    job = start(log_goes)
    job.wait_log("is ready")
    with a_reload(job):  # as long as the terminal lives
        job.process.send_signal(signal.SIGHUP)
    job.close_terminal()
    assert job.process.wait(PATIENCE) == 0
    assert "received SIGHUP, the terminal is gone; workers have 30 s to drain" in job.log_file.read_text()


@pytest.mark.parametrize("how", ["detached", "ignoring"])
def test_one_that_was_started_with_setsid_or_nohup_outlives_the_terminal_and_still_reloads(
    start: Start, how: str
) -> None:
    job = start("stderr", **{how: True})
    job.wait_log("is ready")
    job.close_terminal()
    with a_reload(job):
        job.process.send_signal(signal.SIGHUP)
