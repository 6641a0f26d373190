"""A component that cannot run here is refused with the reason, before any of it has run."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime
from wasmtime import component as wc

from durable.errors import InvalidComponent
from durable.wasm.inspect import Inspection, check_header, compile_component, inspect
from durable.wasm.program import Program
from durable.wasm.traps import is_exhausted
from durable.wasm.world import World, world_bytes
from tests.wasm.guests import RUN, exporting, importing

COMPONENTS = Path(__file__).parent.parent / "components"
U64 = '(export "get-random-u64" (func (result u64)))'


def refusal(wasm: bytes) -> str:
    with pytest.raises(InvalidComponent) as refused:
        inspect(wasm).require_runnable()
    return str(refused.value)


# -- bytes -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content", [b"", b"\0as", b"MZ\x90\0", b"#!/bin/sh\n", b"(component)"])
def test_what_is_not_wasm_at_all_is_told_so(content: bytes) -> None:
    assert "not a WebAssembly component" in refusal(content)
    with pytest.raises(InvalidComponent, match="magic number"):
        check_header(content)


def test_a_core_module_comes_with_advice() -> None:
    text = refusal(bytes(wasmtime.wat2wasm("(module)")))
    assert "got a WASM module" in text
    assert "wasm32-wasip2" in text


@pytest.mark.parametrize("kept", [5, 8, 20, -1])
def test_a_component_that_was_cut_off_is_refused_in_one_line(kept: int) -> None:
    whole = importing("")
    text = refusal(whole[:kept])
    assert "component" in text
    assert "\n" not in text


def test_a_damaged_component_is_refused(engine: wasmtime.Engine) -> None:
    whole = bytearray(importing(""))
    whole[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
    with pytest.raises(InvalidComponent, match="not a valid WebAssembly component"):
        compile_component(engine, bytes(whole))


# -- imports ---------------------------------------------------------------------------------------------------------
def test_an_unknown_import_is_named() -> None:
    text = refusal(importing('(import "acme:shop/cart@1.0.0" (instance (export "add" (func))))'))
    assert "acme:shop/cart@1.0.0" in text


def test_every_missing_import_is_named() -> None:
    text = refusal(
        importing(
            '(import "acme:shop/cart@1.0.0" (instance (export "add" (func))))'
            '(import "wasi:nn/tensor" (instance (export "t" (func))))'
        )
    )
    assert "acme:shop/cart@1.0.0" in text
    assert "wasi:nn/tensor" in text


@pytest.mark.parametrize(
    "item",
    ['(export "r" (type (sub resource)))', '(export "i" (instance (export "f" (func))))', '(export "m" (core module))'],
    ids=["resource", "instance", "module"],
)
@pytest.mark.parametrize("interface", ["acme:shop/cart@1.0.0", "wasi:io/poll@0.2.0"])
def test_what_an_interface_lacks_is_missed_even_if_it_is_no_function(interface: str, item: str) -> None:
    assert interface in refusal(importing(f'(import "{interface}" (instance {item}))'))


def test_an_import_outside_of_an_interface_is_named() -> None:
    assert "print-line" in refusal(importing('(import "print-line" (func))'))


def test_an_interface_of_plain_types_needs_nothing_of_the_host() -> None:
    types = '(type $r (record (field "a" u8))) (export "r" (type (eq $r)))'
    inspect(importing(f'(import "acme:shop/types@1.0.0" (instance {types}))')).require_runnable()


def test_an_unknown_function_of_a_known_interface_is_named() -> None:
    text = refusal(importing('(import "wasi:random/random@0.2.0" (instance (export "get-luck" (func))))'))
    assert "wasi:random/random@0.2.0 function get-luck" in text


WRONG_TYPES = {
    "wasi:random/random@0.2.0 get-random-u64": "(func (result u32))",
    "wasi:random/random@0.2.1 get-random-u64": '(func (param "n" u64) (result u64))',
    "wasi:random/random@0.2.2 get-random-u64": "(func)",
    "wasi:random/random@0.2.3 get-random-u64": "(func async (result u64))",
    "wasi:random/random@0.2.0 get-random-bytes": '(func (param "len" u64) (result string))',
    "wasi:clocks/wall-clock@0.2.0 now": "(func (result (tuple u64 u32)))",
    "durable:core/core@2.7.0 transaction-enter": '(func (param "l" string) (param "d" bool) (result string))',
    "durable:core/core@2.2.0 task-id": "(func (result u64))",
    "wasi:cli/exit@0.2.0 exit": '(func (param "status" (result u8)))',
}


@pytest.mark.parametrize("name", WRONG_TYPES)
def test_a_known_function_with_another_type_never_meets_the_codecs_of_the_host(
    name: str, engine: wasmtime.Engine
) -> None:
    interface, function = name.split()
    wasm = importing(f'(import "{interface}" (instance (export "{function}" {WRONG_TYPES[name]})))')
    assert f"{interface} function {function} as " in refusal(wasm)
    world = World(wc.Component(engine, world_bytes()), engine)
    with pytest.raises(InvalidComponent, match=function):
        Program(wc.Component(engine, wasm), engine, world)


def test_a_resource_that_only_has_the_same_name_is_another_type() -> None:
    own_stream = '(export "output-stream" (type $s (sub resource))) (export "get-stdout" (func (result (own $s))))'
    text = refusal(importing(f'(import "wasi:cli/stdout@0.2.0" (instance {own_stream}))'))
    assert "get-stdout as func() -> own<wasi:cli/stdout.output-stream>" in text


# -- versions --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.9", "0.2.10", "0.2.6+build.5"])
def test_any_version_0_2_of_wasi_will_do(version: str) -> None:
    inspect(importing(f'(import "wasi:random/random@{version}" (instance {U64}))')).require_runnable()


@pytest.mark.parametrize("version", ["2.0.0", "2.2.0", "2.7.0", "2.7.3", "2.99.0"])
def test_any_version_2_of_durable_will_do(version: str) -> None:
    task_id = '(export "task-id" (func (result s64)))'
    inspect(importing(f'(import "durable:core/core@{version}" (instance {task_id}))')).require_runnable()


@pytest.mark.parametrize(
    "interface",
    [
        "wasi:random/random",
        "wasi:random/random@0.1.0",
        "wasi:random/random@0.3.0",
        "wasi:random/random@0.20.0",
        "wasi:random/random@1.0.0",
        "wasi:random/random@2.2.0",
        "wasi:random/random@0.2.0-rc-2023-11-10",
    ],
)
def test_another_track_of_versions_is_refused(interface: str) -> None:
    assert interface in refusal(importing(f'(import "{interface}" (instance {U64}))'))


def test_durable_of_another_major_version_is_refused() -> None:
    task_id = '(export "task-id" (func (result s64)))'
    for version in ("1.9.0", "3.0.0"):
        assert version in refusal(importing(f'(import "durable:core/core@{version}" (instance {task_id}))'))


# -- run -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.12"])
def test_run_of_any_version_0_2_is_found(version: str) -> None:
    assert inspect(importing("", run=f"wasi:cli/run@{version}")).exports_run


@pytest.mark.parametrize(
    "name", ["wasi:cli/run@0.3.0", "wasi:cli/run@0.20.0", "wasi:cli/runner@0.2.0", "acme:cli/run@0.2.0"]
)
def test_without_run_the_author_is_told_what_to_build(name: str) -> None:
    text = refusal(importing("", run=name))
    assert f"does not export {RUN}" in text
    assert "command" in text


MEMORY = '(memory (core memory $m "memory"))'
WRONG_RUNS = {
    "a parameter": '(param "n" u32) (result (result)) (canon lift (core func $m "eat"))',
    "another result": '(result u32) (canon lift (core func $m "run"))',
    "no result": '(canon lift (core func $m "nothing"))',
    "an error with a payload": f'(result (result (error u8))) (canon lift (core func $m "pointer") {MEMORY})',
    "async": 'async (result (result)) (canon lift (core func $m "run") async (callback (core func $m "back")))',
}


@pytest.mark.parametrize("name", WRONG_RUNS)
def test_run_with_another_type_is_refused(name: str) -> None:
    wasm = exporting(
        f'(func $run {WRONG_RUNS[name]}) (instance $i (export "run" (func $run))) (export "{RUN}" (instance $i))'
    )
    assert "type of its own" in refusal(wasm)


def test_run_that_is_no_function_is_refused() -> None:
    module = '(core module $n) (instance $i (export "run" (core module $n)))'
    assert "type of its own" in refusal(exporting(f'{module} (export "{RUN}" (instance $i))'))


def test_two_versions_of_run_must_both_have_the_type_since_either_may_be_called() -> None:
    wasm = exporting(
        '(func $number (result u32) (canon lift (core func $m "run")))'
        '(instance $wrong (export "run" (func $number))) (export "wasi:cli/run@0.2.0" (instance $wrong))'
        '(func $good (result (result)) (canon lift (core func $m "run")))'
        '(instance $right (export "run" (func $good))) (export "wasi:cli/run@0.2.1" (instance $right))'
    )
    assert "type of its own" in refusal(wasm)


# -- components of other makers --------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", sorted(COMPONENTS.glob("[cr]*.wasm")), ids=lambda path: path.stem)
def test_components_of_the_field_are_accepted(path: Path) -> None:
    inspect(path.read_bytes()).require_runnable()


@pytest.mark.parametrize(
    ("message", "exhausted"),
    [
        ("File too large (os error 27)", True),
        ("failed to allocate\n\nCaused by:\n    Cannot allocate memory (os error 12)", True),
        # A name that the guest chose.
        ("executing\n    0: 0x1 - <unknown>!f(os error 12)\n\nCaused by:\n    wasm trap: unreachable", False),
        ("wasm trap: out of bounds memory access", False),
        ("maximum concurrent limit of 3 for component instances reached", True),
        ("executing\n    0: 0x1 - <unknown>!maximum concurrent limit reached", False),
    ],
)  # fmt: skip
def test_what_the_system_refused_is_told_from_what_the_guest_did(message: str, exhausted: bool) -> None:
    assert is_exhausted(message) is exhausted


def test_names_that_a_guest_chose_do_not_hold_anybody_up_however_long() -> None:
    frames = "\n".join(f"    {n}: 0x1 - <unknown>!{'f' * 60_000}" for n in range(200))
    assert not is_exhausted(f"executing\n{frames}\n\nCaused by:\n    wasm trap: unreachable")


def test_what_a_program_lacks_is_told_of_a_few_imports_only() -> None:
    lacking = Inspection([], [f"import {number} {'x' * 1000}" for number in range(1000)], exports_run=True)
    with pytest.raises(InvalidComponent, match=r"import 19 x.*; and 980 more$") as error:
        lacking.require_runnable()
    assert len(str(error.value)) < 16_384
