"""A process beside the workers, from the supervisor's side: started again when it ends, and counted for nothing."""

from __future__ import annotations

import logging
import os
import random
import selectors
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from durable import log_format
from durable.config import Config
from workers.link import Drain, Link, LinkError
from workers.restart_policy import Death, Halt, RestartLimits, RestartState, after_death
from workers.slots import Child, how_it_ended
from workers.spawn import spawn

logger = logging.getLogger("durable.supervisor")

#: Seconds that it may take to make way for one with another configuration.
END_WITHIN = 1.0
#: It says nothing of its own; who has lived for so many seconds had started.
_STARTED_AFTER = 1.0


class Companion(ABC):
    """At most one process. One that says that its configuration is wrong is not started again before `reconfigure`."""

    #: What it is called in the log.
    name: ClassVar[str]
    #: What the service lacks without it, for the log.
    lack: ClassVar[str]
    #: Seconds that it may take to end with the service.
    end_within: ClassVar[float] = END_WITHIN

    def __init__(
        self, config: Config, limits: RestartLimits, selector: selectors.BaseSelector, forget: Callable[[], None]
    ) -> None:
        self.config = config
        self._limits = limits
        self._selector = selector
        self._forget = forget
        self.child: Child | None = None
        self._started_at = 0.0
        self._start_at: float | None = 0.0  # None: never
        self._state = RestartState()

    @abstractmethod
    def run(self, config: Config, link: Link) -> int:
        """What the process does, until the supervisor says `Drain` or is gone. Returns the exit status."""

    @property
    def is_wanted(self) -> bool:
        """Whether the configuration asks for it."""
        return True

    def next_start(self) -> float | None:
        return self._start_at if self.child is None and self.is_wanted else None

    def start_due(self) -> None:
        start_at = self.next_start()
        if start_at is not None and start_at <= time.monotonic():
            self._start()

    def _start(self) -> None:
        self._started_at = time.monotonic()
        try:
            pid, link = spawn(self._run_in_child, self._forget)
        except OSError as error:
            self._start_again(1, f"the {self.name} cannot be forked: {error}")
            return
        self.child = Child(0, pid, link, None, self._started_at, name=self.name)
        self._selector.register(link, selectors.EVENT_READ, self.listen)
        self._say(logging.INFO, f"started {self.child}")

    def _run_in_child(self, link: Link) -> int:
        log_format.set_up(self.config.log_format, self.config.log_level, worker=self.name)
        return self.run(self.config, link)

    def listen(self) -> None:
        """Its link has news. All that matters are its last words, and its end."""
        if (child := self.child) is None:
            return
        self._hear(child)
        if child.link.ended:
            self._selector.unregister(child.link)
            os.kill(child.pid, signal.SIGKILL)

    def bury(self, status: int, *, is_stopping: bool) -> None:
        """It has ended, and was waited for."""
        child = self._forget_child()
        what = f"{child} {how_it_ended(child, status)}"
        if is_stopping:
            self._say(logging.INFO, what)
        else:
            self._start_again(status, what)

    def _forget_child(self) -> Child:
        child, self.child = self.child, None
        assert child is not None
        self._hear(child)
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
            self._say(logging.ERROR, f"{what}; {self.lack} until the configuration is reloaded")
            return
        self._start_at = now + decision.delay
        when = f" in {decision.delay:.1f} s" if decision.delay else ""
        self._say(logging.WARNING, f"{what}; starting it again{when}")

    def reconfigure(self, config: Config) -> None:
        """Let a process with this configuration take over."""
        self.config, self._start_at, self._state = config, 0.0, RestartState()
        self._end(END_WITHIN)

    def end(self) -> None:
        """Returns when there is no process any more."""
        self._end(self.end_within)

    def _end(self, within: float) -> None:
        if (child := self.child) is None:
            return
        child.link.send(Drain())
        self._wait_for_end(child, within)
        # It has no state that could be harmed, and has the link alone to tell that it is at its end.
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        self._say(logging.INFO, f"{self._forget_child()} has stopped")

    def _wait_for_end(self, child: Child, within: float) -> None:
        until = time.monotonic() + within
        with selectors.PollSelector() as selector:
            selector.register(child.link, selectors.EVENT_READ)
            while not child.link.ended and (left := until - time.monotonic()) > 0:
                selector.select(left)
                self._hear(child)

    def _hear(self, child: Child) -> None:
        try:
            for message in child.link.receive():
                child.heed(message, time.monotonic())
        except LinkError as error:
            self._say(logging.ERROR, f"{child}: {error}")
            child.link.ended = True

    def _say(self, level: int, text: str) -> None:
        logger.log(level, "%s", text, extra={"worker": self.name})
