"""Plugin types as WAT, and plugins loaded as a worker does it."""

from __future__ import annotations

from functools import cache

import wasmtime

from durable.plugins import Plugin
from durable.plugins.loaded import LoadedPlugins
from durable.wasm.engine import new_engine
from durable.wasm.world import host_world

STORE = "acme:store/kv@1.2.0"


def types(*functions: str, interface: str = STORE, declarations: str = "") -> bytes:
    """The types of one interface, whose functions are such as `"get" (param "key" string) (result u32)`."""
    exports = "".join(f"(export {_name(one)} (func {one.removeprefix(_name(one))}))" for one in functions)
    return bytes(wasmtime.wat2wasm(f'(component (import "{interface}" (instance {declarations} {exports})))'))


def _name(function: str) -> str:
    return function[: function.index('"', 1) + 1]


@cache
def engine() -> wasmtime.Engine:
    return new_engine()


def load(*plugins: Plugin) -> LoadedPlugins:
    return LoadedPlugins(plugins, host_world(engine()), engine())
