"""Turns of the threads at what only one of them does at a time, waited for no longer than their requests have time."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Turn:
    """A context manager, to be entered any number of times. `ends` is on the monotonic clock.

    Raises TimeoutError when the time is over before it is one's turn.
    """

    lock: threading.Lock
    ends: float

    def __enter__(self) -> None:
        if not self.lock.acquire(timeout=max(self.ends - monotonic(), 0.0)):
            raise TimeoutError("timed out")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()
