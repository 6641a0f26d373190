"""The exporter process from the supervisor's side: started again when it ends, and nothing depends on it."""

from __future__ import annotations

import logging
import os
import random
import selectors
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Protocol

from durable import log_format
from durable.config import Config
from durable.errors import ConfigError
from workers.link import Drain, Fleet, Link, LinkError
from workers.restart_policy import Death, Halt, RestartLimits, RestartState, after_death
from workers.slots import Child, how_it_ended
from workers.spawn import spawn

logger = logging.getLogger("durable.supervisor")

#: `metrics_addr` of a service without exporter.
OFF = "off"
#: Seconds that it may take to end.
END_WITHIN = 1.0
#: It says nothing of its own; who has lived for so many seconds had started.
_STARTED_AFTER = 1.0


class RunExporter(Protocol):
    """What runs in the process: workers.exporter_process.run, or what a test has in its place."""

    def __call__(self, config: Config, link: Link, metrics_folder: Path) -> int: ...


class Exporter:
    """At most one process. One that says that its configuration is wrong is not started again before `reconfigure`."""

    def __init__(
        self, config: Config, run: RunExporter, folder: Path, limits: RestartLimits, selector: selectors.BaseSelector,
        forget: Callable[[], None],
    ) -> None:  # fmt: skip
        self._config = config
        self._run = run
        self._folder = folder
        self._limits = limits
        self._selector = selector
        self._forget = forget
        self.child: Child | None = None
        self._started_at = 0.0
        self._start_at: float | None = 0.0  # None: never
        self._state = RestartState()
        self._told: Fleet | None = None

    def next_start(self) -> float | None:
        return None if self.child is not None or self._config.metrics_addr == OFF else self._start_at

    def start_due(self) -> None:
        start_at = self.next_start()
        if start_at is not None and start_at <= time.monotonic():
            self._start()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        try:
            pid, link = spawn(partial(self._run_in_child, self._config), self._forget)
        except OSError as error:
            self._start_again(1, f"the exporter cannot be forked: {error}")
            return
        self._told = None
        self.child = Child(0, pid, link, None, self._started_at, name="exporter")
        self._selector.register(link, selectors.EVENT_READ, self.listen)
        _log(logging.INFO, f"started {self.child}")

    def _run_in_child(self, config: Config, link: Link) -> int:
        log_format.set_up(config.log_format, config.log_level, worker="exporter")
        return self._run(config, link, self._folder)

    def listen(self) -> None:
        """Its link has news. All that matters are its last words, and its end."""
        if (child := self.child) is None:
            return
        _hear(child)
        if child.link.ended:
            self._selector.unregister(child.link)
            os.kill(child.pid, signal.SIGKILL)

    def tell(self, fleet: Fleet) -> None:
        """Send this if it is news, or later if the process does not read."""
        if self.child is not None and fleet != self._told and not self.child.link.is_clogged:
            self._told = fleet
            self.child.link.send(fleet)

    def bury(self, status: int, *, is_stopping: bool) -> None:
        """It has ended, and was waited for."""
        child = self._forget_child()
        what = f"{child} {how_it_ended(child, status)}"
        if is_stopping:
            _log(logging.INFO, what)
        else:
            self._start_again(status, what)

    def _forget_child(self) -> Child:
        child, self.child = self.child, None
        assert child is not None
        _hear(child)
        with suppress(KeyError):
            self._selector.unregister(child.link)
        child.close()
        return child

    def _start_again(self, status: int, what: str) -> None:
        now = time.monotonic()
        ready_at = self._started_at if now - self._started_at >= _STARTED_AFTER else None
        self._state, decision = after_death(self._state, Death(now, ready_at, status), self._limits, random.random())
        if isinstance(decision, Halt):
            self._start_at = None
            _log(logging.ERROR, f"{what}; there are no metrics until the configuration is reloaded")
            return
        self._start_at = now + decision.delay
        when = f" in {decision.delay:.1f} s" if decision.delay else ""
        _log(logging.WARNING, f"{what}; starting it again{when}")

    def reconfigure(self, config: Config) -> None:
        """Let a process with this configuration take over."""
        self._config, self._start_at, self._state = config, 0.0, RestartState()
        if self.child is not None:
            self.end()

    def end(self) -> None:
        """Returns when there is no process any more."""
        if (child := self.child) is None:
            return
        child.link.send(Drain())
        _wait_for_end(child)
        # It has no state that could be harmed, and has the link alone to tell that it is at its end.
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        _log(logging.INFO, f"{self._forget_child()} has stopped")


def _wait_for_end(child: Child) -> None:
    until = time.monotonic() + END_WITHIN
    with selectors.PollSelector() as selector:
        selector.register(child.link, selectors.EVENT_READ)
        while not child.link.ended and (left := until - time.monotonic()) > 0:
            selector.select(left)
            _hear(child)


def _hear(child: Child) -> None:
    try:
        for message in child.link.receive():
            child.heed(message, time.monotonic())
    except LinkError as error:
        _log(logging.ERROR, f"{child}: {error}")
        child.link.ended = True


def _log(level: int, text: str) -> None:
    logger.log(level, "%s", text, extra={"worker": "exporter"})


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """A new folder for the counters that the processes of this service share, removed at the end. Raises
    ConfigError.
    """
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    try:
        folder = tempfile.mkdtemp(prefix="durable-", dir=runtime or None)
    except OSError as error:
        raise ConfigError(f"cannot make a folder for the metrics: {error}") from None
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
