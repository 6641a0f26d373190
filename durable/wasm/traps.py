"""How a guest ends other than by returning."""

from __future__ import annotations


class GuestTrap(Exception):
    """The guest did something that stops it: a wasm trap, or a call that the host refuses.

    The message is for the author of the workflow; it becomes the reason of the task's failure.
    """


class GuestLimit(GuestTrap):
    """The guest went over a limit: memory, stack, CPU time, journal length, log size."""
