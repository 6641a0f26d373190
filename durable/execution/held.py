"""What the host keeps for the handles of one guest: it counts as the guest's own memory would."""

from __future__ import annotations

from typing import Protocol, TypeVar
from weakref import WeakSet

from durable.wasm.traps import GuestLimit

#: Bytes from which an object is counted; of smaller ones the number of handles is limit enough.
_LARGE = 1024


class Sized(Protocol):
    """An object for which the guest has a handle; `size` is in bytes, and may change."""

    @property
    def size(self) -> int: ...


S = TypeVar("S", bound=Sized)


class Held:
    """The large objects of a guest that are still alive, whoever let go of the others.

    They are counted only when all that were ever added since the last count would be too much.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._large: WeakSet[Sized] = WeakSet()
        self._size = 0  # at most

    def keep(self, one: S) -> S:
        """Count an object that is new, or has become larger. Raises GuestLimit when it is too much together."""
        size = one.size
        if size >= _LARGE:
            self._large.add(one)
            self._size += size
            if self._size > self._most:
                self._count()
        return one

    def _count(self) -> None:
        self._size = sum(one.size for one in self._large)
        if self._size > self._most:
            raise GuestLimit(
                f"the SQL values and HTTP requests that the workflow has handles to are larger than "
                f"guest_memory_limit ({self._most} bytes) together"
            )
