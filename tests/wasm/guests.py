"""Small components as WAT: a world of host functions, and guests that import it and export `wasi:cli/run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import wasmtime

RUN = "wasi:cli/run@0.2.0"


@dataclass(frozen=True)
class HostCall:
    """A host function: its component type, and the core type that a guest calls it by, both in WAT."""

    name: str
    type: str
    core: str


@dataclass(frozen=True)
class HostInterface:
    """An interface that a guest imports; `types` are declared before the functions."""

    name: str
    calls: Sequence[HostCall]
    types: str = ""
    drops: Sequence[str] = ()  # resources whose handles the guest can drop, by `drop-NAME`

    def declaration(self) -> str:
        functions = "".join(f'(export "{call.name}" {call.type})\n' for call in self.calls)
        return f'(import "{self.name}" (instance $host {self.types}\n{functions}))'


def world_of(interface: HostInterface) -> bytes:
    """The component that only imports the interface, as `durable/wit/host.wasm` does."""
    return bytes(wasmtime.wat2wasm(f"(component {interface.declaration()})"))


def guest_of(interface: HostInterface, body: str, *, pages: int = 1, run: str = RUN) -> bytes:
    """A component whose core module has `body`, which exports the function `run` with the result i32 (0 is ok).

    The host functions are there as `$NAME`, and the memory of `pages` as `libc`.
    """
    lowered = "".join(_lower(call) for call in interface.calls)
    imported = "".join(f'(import "host" "{call.name}" (func $"{call.name}" {call.core}))' for call in interface.calls)
    given = "".join(f'(export "{call.name}" (func $"{call.name}"))' for call in interface.calls)
    for resource in interface.drops:
        lowered += f'(alias export $host "{resource}" (type ${resource}))'
        lowered += f'(core func $"drop-{resource}" (canon resource.drop ${resource}))'
        imported += f'(import "host" "drop-{resource}" (func $drop-{resource} (param i32)))'
        given += f'(export "drop-{resource}" (func $"drop-{resource}"))'
    text = f"""(component
        {interface.declaration()}
        (core module $libc-module {_LIBC % pages})
        (core instance $libc (instantiate $libc-module))
        {lowered}
        (core module $program
            (import "libc" "memory" (memory {pages}))
            {imported}
            {body})
        (core instance $main (instantiate $program
            (with "libc" (instance $libc)) (with "host" (instance {given}))))
        (func $run (result (result)) (canon lift (core func $main "run")))
        (instance $cli (export "run" (func $run)))
        (export "{run}" (instance $cli)))"""
    return bytes(wasmtime.wat2wasm(text))


def importing(imports: str, *, run: str = RUN) -> bytes:
    """A component that imports what it is told to and uses none of it; its `run` returns ok."""
    lifted = '(func $run (result (result)) (canon lift (core func $m "run")))'
    return exporting(f'{lifted} (instance $i (export "run" (func $run))) (export "{run}" (instance $i))', imports)


def exporting(exports: str, imports: str = "") -> bytes:
    """A component with a core instance `$m` that has functions of several types to export."""
    module = """(core module $module
        (memory (export "memory") 1)
        (func (export "run") (result i32) (i32.const 0))
        (func (export "pointer") (result i32) (i32.const 16))
        (func (export "eat") (param i32) (result i32) (i32.const 0))
        (func (export "nothing"))
        (func (export "back") (param i32 i32 i32) (result i32) (i32.const 0)))"""
    return bytes(
        wasmtime.wat2wasm(f"(component {imports} {module} (core instance $m (instantiate $module)) {exports})")
    )


def _lower(call: HostCall) -> str:
    options = '(memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))'
    return f'(core func $"{call.name}" (canon lower (func $host "{call.name}") {options}))\n'


# Bumps a pointer and never frees. The first page below 4 KiB belongs to the guest.
_LIBC = """
    (memory (export "memory") %d)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
        (global.set $next (i32.add (local.get $at) (local.get $size)))
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
            (then
                (if (i32.eq (i32.const -1) (memory.grow (i32.add (i32.const 1)
                        (i32.div_u (i32.sub (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
                            (i32.const 65536)))))
                    (then unreachable))))
        (local.get $at))
"""
