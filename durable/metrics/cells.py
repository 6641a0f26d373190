"""The numbers behind the metrics of one process: a row of floats that can move into a file which other processes read.

Every process of a version has the same numbers in the same places, because metrics and the values of their labels are
all known when they are defined. So a file never changes its size or its form, each number is written in one piece,
and whoever dies in the middle of a write leaves a file as good as any (docs/adr/0013-metrics.md).
"""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence
from threading import Lock

#: Bytes of one number in a file.
CELL_BYTES = array("d").itemsize


class Cells:
    """Numbers that metrics reserve once. Who changes one holds `lock`, in whatever thread."""

    def __init__(self) -> None:
        self.values: MutableSequence[float] = array("d")
        self.lock = Lock()
        self._zeroed: list[int] = []

    def __len__(self) -> int:
        return len(self.values)

    def reserve(self, count: int, *, dies_with_process: bool = False) -> int:
        """The place of the first of `count` numbers of one's own, all 0.

        Those that die with the process are 0 again when a successor goes on with its file.
        """
        first = len(self.values)
        self.values.extend([0.0] * count)
        if dies_with_process:
            self._zeroed.extend(range(first, first + count))
        return first

    def read(self) -> list[float]:
        return list(self.values)

    def move_to(self, values: MutableSequence[float]) -> None:
        """Go on with the numbers of a predecessor, `values`, in their place: those that had been counted here are
        forgotten. Nothing can be reserved any more.
        """
        with self.lock:
            for place in self._zeroed:
                values[place] = 0.0
            self.values = values
