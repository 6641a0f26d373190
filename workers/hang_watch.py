"""When a silent worker counts as hung, and when the supervisor has no right to say so."""

from __future__ import annotations

import time
from collections.abc import Callable

from workers.slots import Child

#: Seconds from SIGABRT, at which the worker writes its stacks into the log, to SIGKILL.
ABORT_GRACE = 5.0
#: A worker that starts says nothing while it connects and compiles: it has this many times hang_timeout.
BOOT_FACTOR = 2
#: Seconds of silence after which no answer of a worker is expected; it speaks every second.
SILENT = 5.0
#: The longest that the supervisor sleeps while it has workers, and how late it may wake, in seconds.
LONGEST_SLEEP = 1.0
LATE = 1.0


def hung_at(child: Child, hang_timeout: float) -> float:
    """The time at which this worker will count as hung, if nothing is heard of it until then."""
    return child.last_progress + hang_timeout * (1 if child.is_ready else BOOT_FACTOR)


class Wakefulness:
    """Notices that the supervisor did not run when it wanted to: the machine was suspended or frozen, the process
    stopped, or the reader of its log blocked it. Then the silence of its workers proves nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.since = clock()  # compare with this and not with now: what came after it has not been read yet

    def slept(self, wanted: float | None) -> float:
        """Call after each sleep of at most `wanted` seconds: those lost since the end of the one before, 0 if all
        went well.
        """
        before, self.since = self.since, self._clock()
        late = 0.0 if wanted is None else self.since - before - wanted
        return late if late > LATE else 0.0
