"""How workers are ended: asked to drain, killed when they do not, aborted when they hang."""

from __future__ import annotations

import logging
import os
import signal
import time

from workers.hang_watch import ABORT_GRACE, hung_at
from workers.link import Drain
from workers.slots import Child, Slot, Slots

logger = logging.getLogger("durable.supervisor")


class Endings:
    """Sends what is due; the end itself is noticed by whoever waits for the processes. `drain_timeout` is in
    seconds.
    """

    def __init__(self, slots: Slots, drain_timeout: float) -> None:
        self._slots = slots
        self.drain_timeout = drain_timeout

    def drain(self, child: Child) -> None:
        """Ask it to hand everything back; it is killed when it has not ended in time."""
        child.link.send(Drain())
        self.is_draining(child)

    def is_draining(self, child: Child) -> None:
        """It was asked, by us or by others."""
        if child.deadline is None and not child.was_killed:
            child.deadline = time.monotonic() + self.drain_timeout

    def retire(self, slot: Slot) -> None:
        """Drain its worker; nobody takes its place."""
        slot.is_leaving = True
        if slot.child is None:
            self._slots.remove(slot)
        else:
            self.drain(slot.child)

    def kill(self, child: Child, why: str) -> None:
        _log(logging.WARNING, child, "killing %s, %s", child, why)
        child.was_killed = True
        child.deadline = child.abort_deadline = None
        os.kill(child.pid, signal.SIGKILL)

    def kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self._slots.children:
            if child.deadline is not None and child.deadline <= now:
                self.kill(child, "which has not drained")
            elif child.abort_deadline is not None and child.abort_deadline <= now:
                self.kill(child, "which did not react")

    def abort_hung(self, now: float) -> None:
        """`now` is a time up to which everything that workers said has been heard."""
        for slot in self._slots:
            child = slot.child
            if child is None or child.was_killed or child.abort_deadline is not None:
                continue
            if hung_at(child, slot.config.hang_timeout) <= now:
                self._abort(child, now - child.last_progress)

    def _abort(self, child: Child, silence: float) -> None:
        _log(logging.ERROR, child, "%s has shown no progress for %.0f s; aborting it", child, silence)
        child.abort_deadline = time.monotonic() + ABORT_GRACE
        os.kill(child.pid, signal.SIGABRT)

    def seconds_left(self) -> float:
        """Until the last of those that drain is killed."""
        deadlines = [child.deadline for child in self._slots.children if child.deadline is not None]
        return max(deadlines, default=0.0) - time.monotonic()


def _log(level: int, child: Child, text: str, *values: object) -> None:
    logger.log(level, text, *values, extra={"worker": child.slot, "pid": child.pid})
