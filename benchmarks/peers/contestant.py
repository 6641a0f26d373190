"""What the contests need to know of an engine, durable or another."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from benchmarks.stage import Stage
from tests.engine.database import Database


class Contestant(Protocol):
    """An engine under one set of settings. `drains` has the workflows it can run, with how many make a few seconds."""

    @property
    def name(self) -> str: ...

    @property
    def drains(self) -> Mapping[str, int]: ...

    def prepare(self, stage: Stage, database: Database) -> None:
        """The schema, in a database that is empty but for durable's."""

    def fill(self, database: Database, workflow: str, count: int) -> float:
        """Launch so many at once, as its manual recommends for many. The seconds that took."""

    def working(
        self, stage: Stage, database: Database, count: int, processes: int = 2
    ) -> AbstractContextManager[Working]:
        """Worker processes; `count` workflows will be there for them."""

    def left(self, database: Database) -> int:
        """How many workflows have not ended."""


class Working(Protocol):
    """The worker processes."""

    def pids(self) -> list[int]: ...

    def delays(self, samples: int, pause: float) -> list[float]:
        """Launch one after the other, `pause` seconds apart: the seconds from each launch to its start."""

    def recover(self, timeout: float) -> float | None:
        """Kill the process that runs a workflow: the seconds until another goes on, None if not within `timeout`."""
