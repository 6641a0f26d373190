"""A compiled component that is ready to run."""

from __future__ import annotations

import wasmtime
from wasmtime import component as wc

from durable.wasm import ffi
from durable.wasm.codec import codec_of
from durable.wasm.inspect import find_run, inspect_component, run_result
from durable.wasm.world import World


class Program:
    """A component whose imports were compared with the host's: only such a one may meet the host's codecs.

    Raises InvalidComponent when this host cannot run it.
    """

    def __init__(self, component: wc.Component, engine: wasmtime.Engine, world: World) -> None:
        inspect_component(component, engine, world).require_runnable()
        run, result = find_run(component), run_result(component, engine)
        assert run is not None
        assert result is not None
        self._component, self._run = component, run
        self.component = ffi.pointer_of(component)
        self.run_index = ffi.pointer_of(run)
        self.run_result = codec_of(result, world.resource_id)
