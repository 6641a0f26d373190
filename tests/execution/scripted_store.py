"""A journal in memory that does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from durable.journal.part import JournalPart
from durable.model import Event

#: Called with a batch before it is written; may wait, and may raise.
Script = Callable[[Sequence[JournalPart]], object]


class ScriptedStore:
    """Keeps what was written per task. `held_back` are tasks whose lease is over."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.written: dict[int, list[Event]] = {}
        self.held_back: set[int] = set()
        self.scripts: list[Script] = []
        self.before_each: Script | None = None
        self._writing = False

    async def append(self, parts: Sequence[JournalPart]) -> set[int]:
        assert not self._writing, "two batches at once"
        assert len({part.task_id for part in parts}) == len(parts), "two parts of one task in one batch"
        self._writing = True
        try:
            self.batches.append([part.task_id for part in parts])
            await _follow(self.scripts.pop(0) if self.scripts else self.before_each, parts)
            for part in parts:
                if part.task_id not in self.held_back:
                    self.written.setdefault(part.task_id, []).extend(part.events)
            return {part.task_id for part in parts} - self.held_back
        finally:
            self._writing = False

    def indexes(self, task: int) -> list[int]:
        return [event.index for event in self.written.get(task, [])]


async def _follow(script: Script | None, parts: Sequence[JournalPart]) -> None:
    if script is not None:
        waiting = script(parts)
        if asyncio.iscoroutine(waiting):
            await waiting


class Gate:
    """A script that holds a batch up until it is opened."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._open = asyncio.Event()

    async def __call__(self, parts: Sequence[JournalPart]) -> None:
        self.reached.set()
        await self._open.wait()

    def open(self) -> None:
        self._open.set()


def raising(error: Exception) -> Script:
    def script(parts: Sequence[JournalPart]) -> None:
        raise error

    return script
