"""Tells, in memory that another process may read, for whom this process computes at the moment, and how long it has.

A process that dies cannot say any more what it was at: two numbers in a page that it shares with its parent can.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Coroutine, Generator, MutableSequence
from typing import Any, TypeVar

#: Numbers that a mark takes: owner and token.
CELLS = 2
#: Seconds of one step of the host after which the CPU time of the next ones is measured.
LONG_STEP = 0.001

_cpu_time = time.thread_time
_clock = time.perf_counter

T = TypeVar("T")


class Busy:
    """The mark of one guest; `begin` and `end` around everything that is computed for it.

    Costs no system call until `measure`: from then on `cpu_used` grows by the CPU time, in seconds.
    """

    __slots__ = ("_began", "_cells", "_measures", "_owner", "_token", "cpu_used")

    def __init__(self, cells: MutableSequence[int], owner: int, token: int) -> None:
        self._cells, self._owner, self._token = cells, owner, token
        self.restart_clock()

    def begin(self) -> None:
        self._cells[1] = self._token
        self._cells[0] = self._owner  # last: it says that the token is there
        if self._measures:
            self._began = _cpu_time()

    def end(self) -> None:
        self._cells[0] = 0
        if self._measures:
            self.cpu_used += _cpu_time() - self._began

    def measure(self) -> None:
        """From the next `begin` on. For a guest that has been seen to compute: others use too little to be worth it.

        To ask for the CPU time takes two system calls a step, which would be a tenth of a whole workflow.
        """
        self._measures = True

    def restart_clock(self) -> None:
        """Forget the time, and do not measure what follows."""
        self.cpu_used = self._began = 0.0
        self._measures = False

    def during(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """What `work` returns: awaited with the mark wherever it computes, and without where it waits."""
        return _Steps(self, work)


class _Steps(Generator[Any, Any, T], Awaitable[T]):
    """A coroutine, each step of it marked."""

    __slots__ = ("_busy", "cr_await")

    def __init__(self, busy: Busy, work: Coroutine[Any, Any, T]) -> None:
        self._busy = busy
        #: As in a coroutine: who looks at what is awaited looks through.
        self.cr_await = work

    def __await__(self) -> Generator[Any, Any, T]:
        return self

    def send(self, value: Any) -> Any:
        started = _clock()
        self._busy.begin()
        try:
            return self.cr_await.send(value)
        finally:
            self._busy.end()
            if _clock() - started > LONG_STEP:
                self._busy.measure()

    def throw(self, *error: Any) -> Any:
        self._busy.begin()
        try:
            return self.cr_await.throw(*error)
        finally:
            self._busy.end()

    def close(self) -> None:
        self._busy.begin()
        try:
            self.cr_await.close()
        finally:
            self._busy.end()


def nobody_looks() -> MutableSequence[int]:
    """Cells for a process without a parent that would read them."""
    return [0] * CELLS
