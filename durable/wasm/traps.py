"""How a guest ends other than by returning."""

from __future__ import annotations

import re

from durable.errors import TryAgain

# wasmtime gives errors no code, only text. The cause stands last, and no name that a guest chose can stand there.
_SYSTEM_SAID_NO = re.compile(r"\(os error \d+\)\s*\Z")
_POOL_IS_FULL = re.compile(r"\s*maximum concurrent [^\n]* reached\s*\Z")


class GuestTrap(Exception):
    """The guest did something that stops it: a wasm trap, or a call that the host refuses.

    The message is for the author of the workflow; it becomes the reason of the task's failure.
    """


class HostExhausted(TryAgain):
    """There is nothing left of what a guest needs to be loaded or run: memory, memory maps, threads, descriptors, space
    for a file, a place in the pool.

    No fault of the guest: trying again, later or elsewhere, can help.
    """


def is_exhausted(message: str) -> bool:
    """Whether this text of wasmtime says that the system refused something, or that the pool of guests is full."""
    return _SYSTEM_SAID_NO.search(message) is not None or _POOL_IS_FULL.match(message) is not None


def is_of_the_host(error: Exception) -> bool:
    """Whether Python's error says that the system refused something. For a thread it has no type of its own."""
    return isinstance(error, (OSError, MemoryError)) or (
        isinstance(error, RuntimeError) and str(error) == "can't start new thread"
    )


class GuestLimit(GuestTrap):
    """The guest went over a limit: memory, stack, CPU time, journal length, log size."""
