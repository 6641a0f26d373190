"""Tells, in memory that another process may read, for whom this process computes at the moment.

A process that dies cannot say any more what it was at: two numbers in a page that it shares with its parent can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator, MutableSequence
from typing import Any, TypeVar

#: Numbers that a mark takes: owner and token.
CELLS = 2

T = TypeVar("T")


class Busy:
    """The mark of one guest; `begin` and `end` around everything that is computed for it. Costs no system call."""

    __slots__ = ("_cells", "_owner", "_token")

    def __init__(self, cells: MutableSequence[int], owner: int, token: int) -> None:
        self._cells, self._owner, self._token = cells, owner, token

    def begin(self) -> None:
        self._cells[1] = self._token
        self._cells[0] = self._owner  # last: it says that the token is there

    def end(self) -> None:
        self._cells[0] = 0

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
        self._busy.begin()
        try:
            return self.cr_await.send(value)
        finally:
            self._busy.end()

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
