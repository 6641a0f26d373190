"""Everything a guest can call, in one mapping for the linker."""

from __future__ import annotations

from durable.host import clocks, command, core, http, notify, pollables, random, refused, sql, streams
from durable.host.refused import refused_functions
from durable.wasm.linker import HostFunction
from durable.wasm.world import World

_MODULES = (core, notify, http, sql, streams, pollables, clocks, random, command, refused)


def host_functions(world: World) -> dict[str, dict[str, HostFunction]]:
    """The host function of every import of the world."""
    functions = refused_functions(world)
    for module in _MODULES:
        functions.update(module.FUNCTIONS)
    return functions
