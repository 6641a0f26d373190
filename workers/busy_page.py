"""Which task a dead worker was computing for: the only witness is a page of memory that the supervisor shares with it.

One page per worker process, made before its fork. Nothing but two numbers is in it, so there is nothing in it that a
fork, or a death in the middle of a write, could break.
"""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence

from durable.model import Culprit
from durable.wasm.busy import CELLS


class BusyPage:
    """The shared page. The worker writes into `cells`, see durable.wasm.busy."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._view = memoryview(self._page).cast("q")

    @property
    def cells(self) -> MutableSequence[int]:
        return self._view  # type: ignore[return-value]  # a view of integers, which typeshed does not call a sequence

    def culprits(self, cause: str) -> tuple[Culprit, ...]:
        """The task that was computed for, if there was one. Only once the process has ended."""
        task_id, lease, *_ = self._view[:CELLS]
        return (Culprit(task_id, lease, cause),) if task_id else ()

    def close(self) -> None:
        self._view.release()
        self._page.close()
