"""A compiled component that is ready to run."""

from __future__ import annotations

import wasmtime
from wasmtime import component as wc

from durable.errors import InvalidComponent
from durable.wasm import ffi
from durable.wasm.codec import codec_of
from durable.wasm.inspect import find_run, inspect_component
from durable.wasm.world import World


class Program:
    """A component whose imports were compared with the host's: only such a one may meet the host's codecs.

    Raises InvalidComponent when this host cannot run it.
    """

    def __init__(self, component: wc.Component, engine: wasmtime.Engine, world: World) -> None:
        inspect_component(component, engine, world).require_runnable()
        run = find_run(component)
        assert run is not None
        self._component, self._run = component, run
        self.component = ffi.pointer_of(component)
        self.run_index = ffi.pointer_of(run)
        self.run_result = codec_of(_run_result(component, engine), world.resource_id)


def _run_result(component: wc.Component, engine: wasmtime.Engine) -> wc.ValType:
    for name, extern in component.type.exports(engine).items():
        interface = extern.ty
        if name.startswith("wasi:cli/run@0.2.") and isinstance(interface, wc.ComponentInstanceType):
            run = interface.exports(engine)["run"].ty
            if isinstance(run, wc.FuncType) and not run.params and _is_bare_result(run.result):
                assert run.result is not None
                return run.result
    raise InvalidComponent("the component exports wasi:cli/run with a type of its own; it must be `func() -> result`")


def _is_bare_result(ty: wc.ValType | None) -> bool:
    return isinstance(ty, wc.ResultType) and ty.ok is None and ty.err is None
