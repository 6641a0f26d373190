"""Small components that take the compiler very long."""

from __future__ import annotations

import wasmtime


def bomb(loops: int) -> bytes:
    """One function in which every loop mixes all locals: time and memory grow with the square of their number.

    Some 17 bytes for each loop; 1,000 take 1.4 s, 4,000 take 40 s and 640 MB.
    """
    body = "".join(
        f"(loop (local.set {i} (i32.add (local.get {i * 7 % loops}) (i32.const 1))) (br_if 0 (local.get {i})))"
        for i in range(loops)
    )
    return component(f"(func (param i32) (local {'i32 ' * loops}) {body})")


def component(functions: str, more: str = "") -> bytes:
    """A component whose `run` returns ok, with these functions beside it in its `$module`, and with whatever else."""
    text = f"""(component
        (core module $module {functions} (func (export "run") (result i32) (i32.const 0)))
        (core instance $m (instantiate $module)) {more}
        (func $run (result (result)) (canon lift (core func $m "run")))
        (instance $cli (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $cli)))"""
    return bytes(wasmtime.wat2wasm(text))
