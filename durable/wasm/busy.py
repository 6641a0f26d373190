"""Tells, in memory that another process may read, for whom this process computes at the moment.

A process that dies cannot say any more what it was at: two numbers in a page that it shares with its parent can.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, MutableSequence
from functools import partial
from types import coroutine
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

    @coroutine
    def during(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """What `work` returns: awaited with the mark wherever it computes, and without where it waits."""
        go_on: Callable[[], Any] = partial(work.send, None)
        while True:
            self.begin()
            try:
                awaited = go_on()
            except StopIteration as returned:
                return returned.value  # type: ignore[no-any-return]  # of a coroutine, which typeshed does not say
            finally:
                self.end()
            try:
                go_on = partial(work.send, (yield awaited))
            except BaseException as thrown:
                go_on = partial(work.throw, thrown)


def nobody_looks() -> MutableSequence[int]:
    """Cells for a process without a parent that would read them."""
    return [0] * CELLS
