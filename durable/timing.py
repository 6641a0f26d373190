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

    It does not run ahead of the database: the time of an answer is taken as the time at which it arrived, so a deadline
    that has passed here has passed there. Nor does it fall behind by an answer that is late, since a sleep that begins
    then would be too short: what an answer does not contradict stays as it is. Only a clock of the database that is set
    back can be behind this one, by what a question takes to get there. `monotonic_ns` can be replaced to simulate a
    host clock.
    """

    def __init__(self, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns
        self._offset = time.time_ns() - monotonic_ns()
        self._has_learned = False

    def monotonic(self) -> int:
        """The host's own clock, for `learn`."""
        return self._monotonic_ns()

    def learn(self, database_now: float, asked_at: int) -> None:
        """Take over `durable.now()` (seconds since the Unix epoch) from an answer that arrived just now.

        `asked_at` is what `monotonic` told before the question was sent.
        """
        then = int(database_now * 1_000_000) * 1000
        least, most = then - self._monotonic_ns(), then - asked_at
        if not self._has_learned or not least <= self._offset <= most:
            self._offset = least
        self._has_learned = True

    def now(self) -> int:
        return self._monotonic_ns() + self._offset

    def seconds_until(self, deadline: int) -> float:
        """Seconds until a deadline in nanoseconds since the Unix epoch; negative when it has passed."""
        return (deadline - self.now()) / _NANOSECONDS
