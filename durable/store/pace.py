"""How much one statement of many may do, so that each is over in about the same time."""

from __future__ import annotations


class Pace:
    """Begins small, grows while statements are quick and shrinks after slow ones.

    How many rows fit into the time cannot be known: one may be a few bytes or megabytes, in memory or on a slow disk.
    `longest` (seconds) is when a statement is to be given up.
    """

    def __init__(self, rows: int, most: int, longest: float) -> None:
        self.rows = rows
        self._most = most
        self._longest = longest

    @property
    def timeout(self) -> float | None:
        """Seconds; None when there is nothing less that could be tried instead."""
        return self._longest if self.rows > 1 else None

    def took(self, seconds: float) -> None:
        if seconds < self._longest / 5:
            self.rows = min(self.rows * 2, self._most)
        elif seconds > self._longest / 2:
            self._shrink(2)

    def took_too_long(self) -> None:
        self._shrink(4)

    def _shrink(self, divisor: int) -> None:
        self.rows = max(self.rows // divisor, 1)
