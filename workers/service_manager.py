"""What systemd is told about the service, and when: READY, STATUS, WATCHDOG, RELOADING, STOPPING."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from workers.notify_socket import NotifySocket

#: Seconds between two messages about the status, or two requests for more time.
PAUSE = 1.0
#: Seconds more than a drain should need that the manager is asked for.
MARGIN = 5.0


class ServiceManager:
    """The supervisor calls `update` each time it looks around; this decides what of it is to be said."""

    def __init__(self, notify: NotifySocket, clock: Callable[[], float] = time.monotonic) -> None:
        self._notify = notify
        self._clock = clock
        self.was_ready = self._is_reloading = False
        self._status = self._said_status = ""
        self._status_at = self._watchdog_at = 0.0
        self._extend_at: float | None = None

    @property
    def watchdog(self) -> float | None:
        """Seconds within which progress has to be shown."""
        return self._notify.watchdog

    def next_deadline(self) -> float | None:
        """When `update` has something to say at last."""
        if not self._notify.is_open:
            return None
        due = [] if self._status == self._said_status else [self._status_at]
        due += [] if self._notify.watchdog is None else [self._watchdog_at]
        due += [] if self._extend_at is None else [self._extend_at]
        return min(due, default=None)

    def ready(self) -> None:
        """All workers are up, for the first time."""
        if not self.was_ready:
            self.was_ready = True
            self._notify.send("READY=1", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """Until `reloaded`."""
        if self.was_ready and not self._is_reloading:
            self._is_reloading = True
            self._notify.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """For better or worse: the status says which."""
        if self._is_reloading:
            self._is_reloading = False
            self._notify.send("READY=1")

    def stopping(self) -> None:
        if self._extend_at is None:
            self._notify.send("STOPPING=1")
            self._extend_at = self._clock()

    def update(self, status: str, progresses: bool, seconds_left: float) -> None:
        """`progresses` feeds the watchdog; `seconds_left` is how long a drain may still take."""
        self._status = status
        if not self._notify.is_open:
            return
        now = self._clock()
        self._say_status(now)
        self._feed_watchdog(progresses, now)
        self._extend(seconds_left, now)

    def _say_status(self, now: float) -> None:
        if self._status != self._said_status and now >= self._status_at:
            self._said_status, self._status_at = self._status, now + PAUSE
            self._notify.send(f"STATUS={self._status}")

    def _feed_watchdog(self, progresses: bool, now: float) -> None:
        if self._notify.watchdog is None or now < self._watchdog_at:
            return
        self._watchdog_at = now + self._notify.watchdog / 2
        if progresses:
            self._notify.send("WATCHDOG=1")

    def _extend(self, seconds_left: float, now: float) -> None:
        if self._extend_at is not None and now >= self._extend_at:
            self._extend_at = now + PAUSE
            self._notify.send(f"EXTEND_TIMEOUT_USEC={int((max(seconds_left, 0.0) + MARGIN) * 1e6)}")
