"""Every import of the world is bound to a Python function, and serves guests of all versions on its track."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import wasmtime
from wasmtime import component as wc

from durable.host.functions import host_functions
from durable.wasm.engine import EpochTicker
from durable.wasm.linker import HostFunctions, Linker
from durable.wasm.values import Ok
from durable.wasm.world import World, world_bytes
from tests.wasm.guests import HostCall, HostInterface, guest_of, world_of
from tests.wasm.machine import Machine

ANSWER = HostInterface("wasi:test/answers@0.2.0", [HostCall("answer", "(func (result u32))", "(result i32)")])
ASKS = '(func (export "run") (result i32) (i32.ne (call $answer) (i32.const 42)))'


WITHOUT_ANSWER: list[HostFunctions] = [{}, {"wasi:test/answers": {}}, {"wasi:test/answers": {"ask": lambda _: 42}}]


@pytest.mark.parametrize("functions", WITHOUT_ANSWER)
def test_a_host_function_that_is_missing_is_named(engine: wasmtime.Engine, functions: HostFunctions) -> None:
    world = World(wc.Component(engine, world_of(ANSWER)), engine)
    with pytest.raises(LookupError, match=r"the host does not implement wasi:test/answers@0\.2\.0 answer"):
        Linker(engine, world, functions)


def test_the_real_host_implements_its_whole_world_and_no_less(engine: wasmtime.Engine) -> None:
    world = World(wc.Component(engine, world_bytes()), engine)
    functions = host_functions(world)
    Linker(engine, world, functions)
    poll = {name: function for name, function in functions["wasi:io/poll"].items() if name != "poll"}
    with pytest.raises(LookupError, match=r"wasi:io/poll@0\.2\.0 poll"):
        Linker(engine, world, {**functions, "wasi:io/poll": poll})


@pytest.mark.parametrize("version", ["0.2.0", "0.2.3", "0.2.9", "0.2.31"])
def test_a_guest_of_a_later_version_calls_the_same_function(
    engine: wasmtime.Engine, ticker: EpochTicker, version: str
) -> None:
    machine = Machine(engine, ticker, ANSWER, {"answer": lambda _: 42})
    later = replace(ANSWER, name=f"wasi:test/answers@{version}")
    assert asyncio.run(machine.run(machine.load(guest_of(later, ASKS)))) == Ok()


@pytest.mark.parametrize("version", ["2.0.0", "2.2.0", "2.7.0", "2.9.1"])
def test_a_host_of_a_stable_version_serves_older_and_newer_guests(
    engine: wasmtime.Engine, ticker: EpochTicker, version: str
) -> None:
    host = replace(ANSWER, name="durable:test/answers@2.7.0")
    machine = Machine(engine, ticker, host, {"answer": lambda _: 42})
    guest = guest_of(replace(ANSWER, name=f"durable:test/answers@{version}"), ASKS)
    assert asyncio.run(machine.run(machine.load(guest))) == Ok()


@pytest.mark.parametrize("version", ["0.2.0", "0.2.5", "0.2.9"])
def test_run_of_any_version_is_called(engine: wasmtime.Engine, ticker: EpochTicker, version: str) -> None:
    machine = Machine(engine, ticker, ANSWER, {"answer": lambda _: 42})
    assert asyncio.run(machine.run(machine.load(guest_of(ANSWER, ASKS, run=f"wasi:cli/run@{version}")))) == Ok()


def test_a_type_that_no_codec_knows_is_refused_when_the_linker_is_made(engine: wasmtime.Engine) -> None:
    streams = HostInterface("acme:test/streams", [HostCall("open", "(func (result (future u8)))", "(result i32)")])
    world = World(wc.Component(engine, world_of(streams)), engine)
    with pytest.raises(TypeError, match="no codec"):
        Linker(engine, world, {"acme:test/streams": {"open": lambda _: None}})


def test_a_world_is_made_of_interfaces(engine: wasmtime.Engine) -> None:
    loose = bytes(wasmtime.wat2wasm('(component (import "print-line" (func)))'))
    with pytest.raises(TypeError, match="print-line of the host world is not an interface"):
        World(wc.Component(engine, loose), engine)
