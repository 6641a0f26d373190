"""A connection of a simulated process, which tells what the server is to do about its statement."""

from __future__ import annotations

from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

R = TypeVar("R")


class SimulatedConnection(psycopg.AsyncConnection[TupleRow]):
    """`is_cancelled`: the server has been told to cancel its statement, and will answer, whatever it waits for."""

    is_cancelled = False

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        await super().cancel_safe(timeout=timeout)
        self.is_cancelled = True

    async def wait(self, gen: PQGen[R], interval: float = 0.1, timeout: float | None = None) -> R:
        try:
            return await super().wait(gen, interval, timeout)
        finally:
            self.is_cancelled = False
