"""Whether a component can run on this host, told before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import wasmtime
from wasmtime import component as wc

from durable.errors import InvalidComponent, MissingPlugin
from durable.wasm.engine import new_engine
from durable.wasm.signatures import ResourceNames, function_signature, imported_functions
from durable.wasm.traps import HostExhausted, is_exhausted
from durable.wasm.world import World, host_world

_MAGIC = b"\0asm"
_MODULE_LAYER = b"\x01\x00\x00\x00"
RUN_INTERFACE = "wasi:cli/run@0.2.0"
_RUN = "func() -> result<_, _>"
#: Of what is missing: so many are told, each with so many characters at most.
_TOLD, _LONGEST = 20, 500


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a component needs and offers. `missing` says what the host does not provide, one sentence each."""

    imports: list[str]
    missing: list[str]
    exports_run: bool
    lacks_only_plugins: bool = False

    def require_runnable(self) -> None:
        """Raise InvalidComponent unless the host can run the component; MissingPlugin if another host may."""
        if self.missing:
            more = len(self.missing) - _TOLD
            told = [text[:_LONGEST] for text in self.missing[:_TOLD]] + ([f"and {more} more"] if more > 0 else [])
            text = "the component imports what this host does not provide: " + "; ".join(told)
            raise MissingPlugin(text) if self.lacks_only_plugins and self.exports_run else InvalidComponent(text)
        if not self.exports_run:
            raise InvalidComponent(
                f"the component does not export {RUN_INTERFACE}; build it as a command (a program with a main function)"
            )


def check_header(wasm: bytes) -> None:
    """Raise InvalidComponent for bytes that are no component at all. Needs no engine."""
    if not wasm.startswith(_MAGIC):
        raise InvalidComponent("this is not a WebAssembly component (it does not start with the wasm magic number)")
    if wasm[4:8] == _MODULE_LAYER:
        raise InvalidComponent(
            "expected a WASM component but got a WASM module instead\n"
            "build with `--target wasm32-wasip2`, or turn the module into a component with `wasm-tools component new`"
        )


def compile_component(engine: wasmtime.Engine, wasm: bytes) -> wc.Component:
    """Compile to machine code. Raises InvalidComponent with wasmtime's reason, HostExhausted for lack of memory."""
    check_header(wasm)
    try:
        return wc.Component(engine, wasm)
    except wasmtime.WasmtimeError as error:
        if is_exhausted(str(error)):
            raise HostExhausted(f"the program cannot be compiled now: {error}") from None
        reason = " ".join(str(error).split())[:500]
        raise InvalidComponent(f"this is not a valid WebAssembly component: {reason}") from None


def inspect_component(component: wc.Component, engine: wasmtime.Engine, world: World) -> Inspection:
    """Compare what a compiled component imports with what the host provides, name by name and type by type."""
    imports = imported_functions(component, engine)
    missing = {name: texts for name, functions in imports.items() if (texts := _missing(name, functions, world))}
    return Inspection(
        sorted(imports),
        [text for texts in missing.values() for text in texts],
        run_result(component, engine) is not None,
        all(_is_of_plugins(name) for name in missing),
    )


def _is_of_plugins(name: str) -> bool:
    """Whether a plugin could provide the import: an interface in a namespace that is not the host's."""
    return ":" in name and not name.startswith(("wasi:", "durable:"))


def find_run(component: wc.Component) -> wc.ExportIndex | None:
    """The function `run` of `wasi:cli/run`, in any 0.2 version."""
    interface = component.get_export_index(RUN_INTERFACE)
    return None if interface is None else component.get_export_index("run", interface)


def run_result(component: wc.Component, engine: wasmtime.Engine) -> wc.ValType | None:
    """The type of what `run` returns, None without a `run`. Raises InvalidComponent for a `run` of another type."""
    found = None
    for name, extern in component.type.exports(engine).items():
        # Every version is checked, because `find_run` chooses one of them by wasmtime's rules.
        if name.startswith("wasi:cli/run@0.2.") and isinstance(extern.ty, wc.ComponentInstanceType):
            run = extern.ty.exports(engine).get("run")
            ty = None if run is None else run.ty
            if not isinstance(ty, wc.FuncType) or function_signature(ty, ResourceNames()) != _RUN:
                raise InvalidComponent(
                    "the component exports wasi:cli/run with a type of its own; it must be `func() -> result`"
                )
            found = ty.result
    return found


def inspect(wasm: bytes, extend: Callable[[World, wasmtime.Engine], object] | None = None) -> Inspection:
    """Inspect the bytes of a component. Raises InvalidComponent when they are none. Takes the time of a compilation.

    `extend` adds to the host's world, which is made anew for it, what else the component may import.
    """
    check_header(wasm)
    engine, world = _inspection_engine()
    if extend is not None:
        world = host_world(engine)
        extend(world, engine)
    return inspect_component(compile_component(engine, wasm), engine, world)


@cache
def _inspection_engine() -> tuple[wasmtime.Engine, World]:
    engine = new_engine()
    return engine, host_world(engine)


def _missing(name: str, functions: dict[str, str], world: World) -> list[str]:
    interface = world.provides(name)
    if interface is None:
        # An interface of types only needs nothing of the host.
        return [name] if functions else []
    problems = []
    for function, wanted in functions.items():
        given = interface.signatures.get(function)
        if given is None:
            problems.append(f"{name} {'function' if 'func(' in wanted else 'item'} {function}")
        elif given != wanted:
            problems.append(f"{name} function {function} as {wanted} (the host has {given})")
    return problems
