"""What runs a component in simulated workers: the one program there is, and ticks that do not depend on real time."""

from __future__ import annotations

from typing import Any

import wasmtime

from durable.wasm import ffi
from durable.wasm.busy import nobody_looks
from durable.wasm.engine import EpochTicker
from durable.wasm.program import Program
from workers.programs import Programs

_SLICE = 1.0


class OneProgram(Programs):
    """Compiled before the simulation began."""

    def __init__(self, program: Program) -> None:
        self.lacking = set()
        self._program = program

    async def load(self, program_id: int) -> Program:
        return self._program


class LongComputingTicker(EpochTicker):
    """Lets a guest give way only when it has computed for a second at one go.

    A tick that comes by the clock would cut guests short at another place in every run. Whoever computes for that long
    has runs that may not repeat from their seed.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self.cells = _CountingCells(nobody_looks())
        super().__init__(engine, _SLICE)

    def _tick(self) -> None:
        seen = -1
        while not self._stopped.wait(self._interval):
            if self.cells[0] and self.cells.changes == seen:
                ffi.engine_increment_epoch(self._engine)
            seen = self.cells.changes


class _CountingCells(list[int]):
    """Tells whether the mark of `durable.wasm.busy` is still that of the same entry into a guest."""

    changes = 0

    def __setitem__(self, *item: Any) -> None:
        self.changes += 1
        super().__setitem__(*item)
