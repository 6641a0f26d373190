"""The clock that tasks live by: database time, carried forward between looks by this host's monotonic clock.

Two hosts never compare their own wall clocks. A worker learns the database's time with every claim and every
heartbeat, and counts on from there with a clock that cannot jump.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_NANOSECONDS = 1_000_000_000


class DatabaseClock:
    """Database time in nanoseconds since the Unix epoch.

    It never runs ahead of the database: the time of an answer is taken as the time at which it arrived, so a deadline
    that has passed here has passed there. `monotonic_ns` can be replaced to simulate a host clock.
    """

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._offset = time.time_ns() - monotonic_ns()

    def learn(self, database_now: float) -> None:
        """Take over `durable.now()` (seconds since the Unix epoch) from an answer that arrived just now."""
        self._offset = int(database_now * 1_000_000) * 1000 - self._monotonic_ns()

    def now(self) -> int:
        return self._monotonic_ns() + self._offset

    def seconds_until(self, deadline: int) -> float:
        """Seconds until a deadline in nanoseconds since the Unix epoch; negative when it has passed."""
        return (deadline - self.now()) / _NANOSECONDS
