"""An engine with one host interface, on which test guests run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wasmtime
from wasmtime import component as wc

from durable.wasm.engine import EpochTicker
from durable.wasm.fiber import Fiber, GuestLimits
from durable.wasm.linker import HostFunction, Linker
from durable.wasm.program import Program
from durable.wasm.world import World
from tests.wasm.guests import HostInterface, guest_of, world_of

MIB = 1 << 20
LIMITS = GuestLimits(memory=16 * MIB, cpu=10.0)


class Machine:
    """Binds the interface to Python functions, makes programs for it, and runs them."""

    def __init__(
        self, engine: wasmtime.Engine, ticker: EpochTicker, interface: HostInterface,
        functions: Mapping[str, HostFunction],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._ticker = ticker
        self._interface = interface
        self._world = World(wc.Component(engine, world_of(interface)), engine)
        self.linker = Linker(engine, self._world, {interface.name.partition("@")[0]: functions})

    def program(self, body: str, *, pages: int = 1) -> Program:
        return self.load(guest_of(self._interface, body, pages=pages))

    def load(self, wasm: bytes) -> Program:
        return Program(wc.Component(self._engine, wasm), self._engine, self._world)

    def fiber(self, guest: Any = None, limits: GuestLimits = LIMITS) -> Fiber:
        return Fiber(self.linker, self._ticker, guest, limits)

    async def run(self, program: Program, guest: Any = None, limits: GuestLimits = LIMITS) -> Any:
        return await self.fiber(guest, limits).run(program)
