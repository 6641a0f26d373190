"""What the host keeps for one guest: the objects that it has handles to, and a count of what a call hands over."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from durable.wasm.traps import GuestLimit, GuestTrap

#: A guest that never drops its handles is stopped here, long before it can fill the host's memory.
MAX_RESOURCES = 100_000
#: Values in the lists of one call, each made in Python, a microsecond or so, while all other guests and the heartbeat
#: wait. Enough for 100,000 handles, or as many of SQL's largest values, which are IPv6 networks.
MAX_VALUES = 600_000

_log = logging.getLogger("durable.wasm.resources")


class Resource:
    """A host object that wants to be told when no guest has a handle to it any more. Others need no base class."""

    def close(self) -> None:
        """Called once, on the event loop, soon after the guest dropped its handle, or when the guest is gone."""


def close_resource(value: object) -> None:
    """Tell an object that its handle is gone. What it raises is logged: there is nobody whom it would concern."""
    if isinstance(value, Resource):
        try:
            value.close()
        except (Exception, SystemExit):
            _log.exception("closing a %s failed", type(value).__name__)


class Resources:
    """Host objects by the number that wasmtime keeps in the guest's handle table.

    wasmtime runs no destructors when a store is closed, so `close` is called at the end of the fiber.
    """

    __slots__ = ("_handed_over", "_next", "_objects", "context")

    def __init__(self, context: int) -> None:
        self.context = context
        self._objects: dict[int, Any] = {}
        self._next = 1
        self._handed_over = 0

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
        """The guest dropped its handle. Called on the guest's own small stack, so the object is told later."""
        value = self._objects.pop(rep, None)
        if isinstance(value, Resource):
            asyncio.get_running_loop().call_soon(close_resource, value)

    def begin_call(self) -> None:
        """A new call of the guest, which has handed over nothing yet."""
        self._handed_over = 0

    def hand_over(self, values: int) -> None:
        """Count values that a list of this call is about to hand over, to the host or to the guest."""
        self._handed_over += values
        if self._handed_over > MAX_VALUES:
            raise GuestLimit(
                f"one call hands over more than {MAX_VALUES} values in lists (a record is one and one for each of its "
                "fields, a list two): hand them over, or ask for them, in several calls"
            )

    def close(self) -> None:
        """The guest is gone, and all its handles with it."""
        objects, self._objects = self._objects, {}
        for value in objects.values():
            close_resource(value)
