"""The table of host objects that one guest holds handles to."""

from __future__ import annotations

from typing import Any

from durable.wasm.traps import GuestTrap

#: A guest that never drops its handles is stopped here, long before it can fill the host's memory.
MAX_RESOURCES = 100_000


class Resources:
    """Host objects by the number that wasmtime keeps in the guest's handle table.

    wasmtime runs no destructors when a store is closed, so the table is simply dropped with its fiber.
    """

    __slots__ = ("_next", "_objects", "context")

    def __init__(self, context: int) -> None:
        self.context = context
        self._objects: dict[int, Any] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._objects)

    def add(self, value: Any) -> int:
        if len(self._objects) >= MAX_RESOURCES:
            raise GuestTrap(f"the workflow holds more than {MAX_RESOURCES} resources")
        rep = self._next
        self._next = rep + 1
        self._objects[rep] = value
        return rep

    def get(self, rep: int) -> Any:
        return self._objects[rep]

    def take(self, rep: int) -> Any:
        return self._objects.pop(rep)

    def drop(self, rep: int) -> None:
        """The guest dropped its handle."""
        self._objects.pop(rep, None)
