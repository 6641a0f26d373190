"""What a plugin is."""

from __future__ import annotations

from typing import ClassVar, Protocol


class Readable(Protocol):
    """A path, or what importlib.resources finds."""

    def read_bytes(self) -> bytes: ...


class Plugin:
    """Host functions of one or more WIT interfaces, as decorated methods of a subclass.

    Every worker process makes its own object, after its fork; a check of a program makes one and never starts it. So
    `__init__` reads settings at most, and connections, pools and clients are made in `start`.
    """

    #: The component of types that `python -m durable.plugins WIT OUT` makes: its bytes, or the file.
    types: ClassVar[bytes | Readable]
    #: How many blocking calls of this plugin one worker has under way; more wait for their turn.
    threads: ClassVar[int] = 8
    #: What messages and `plugins` in the configuration call it; an installed one is called like its entry point.
    name: str = ""

    async def start(self) -> None:
        """Called in the worker's event loop, before its first task. An exception keeps the worker from starting."""

    async def close(self) -> None:
        """Called when the worker's last task has stopped, if `start` returned."""
