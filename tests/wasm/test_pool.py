"""Guests whose memory comes from a pool, and what happens when it has nothing left, or cannot be made."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator

import pytest
import wasmtime
from wasmtime import component as wc

from durable.wasm.engine import EpochTicker, new_engine
from durable.wasm.traps import HostExhausted
from durable.wasm.values import Ok
from tests.wasm.calls import CALLS, FUNCTIONS, Guest
from tests.wasm.guests import guest_of
from tests.wasm.machine import Machine

WAITS = '(func (export "run") (result i32) (call $wait) (i32.const 0))'


@pytest.fixture
def two_guests() -> Iterator[Machine]:
    """A machine with room for two guests at once."""
    engine = new_engine(2)
    ticker = EpochTicker(engine, 0.005)
    yield Machine(engine, ticker, CALLS, FUNCTIONS)
    ticker.stop()


def test_the_machine_code_is_the_same_with_and_without_a_pool() -> None:
    wasm = guest_of(CALLS, WAITS)
    pooled, plain = new_engine(2), new_engine()
    code = [bytes(wc.Component(engine, wasm).serialize()) for engine in (pooled, plain)]
    assert code[0] == code[1], "one host's cache would not do for both"
    wc.Component.deserialize(plain, code[0])
    wc.Component.deserialize(pooled, code[1])


def test_a_guest_for_which_there_is_no_room_is_told_apart_and_can_come_again(two_guests: Machine) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()

        async def wait() -> None:
            await go_on.wait()

        program = two_guests.program(WAITS)
        inside = [Guest(wait=wait), Guest(wait=wait)]
        runs = [asyncio.create_task(two_guests.run(program, guest)) for guest in inside]
        while not all(guest.waiting for guest in inside):  # noqa: ASYNC110
            await asyncio.sleep(0)
        with pytest.raises(HostExhausted, match="limit of 2"):
            await two_guests.run(program, Guest())
        go_on.set()
        assert await asyncio.gather(*runs) == [Ok(), Ok()]
        assert await two_guests.run(program, Guest()) == Ok()

    asyncio.run(scenario())
    assert two_guests.linker.fibers == {}


def test_a_guest_finds_nothing_of_the_one_before_it(two_guests: Machine) -> None:
    """Memory, what it has grown by, tables and globals."""
    leaves_traces = """
        (table $t 1 10 funcref) (global $g (mut i32) (i32.const 0))
        (elem declare func $f) (func $f)
        (func (export "run") (result i32)
            (call $note (i32.load (i32.const 60000)))
            (call $note (memory.grow (i32.const 3)))
            (call $note (i32.load (i32.const 200000)))
            (call $note (ref.is_null (table.get $t (i32.const 0))))
            (call $note (table.grow $t (ref.func $f) (i32.const 2)))
            (call $note (global.get $g))
            (i32.store (i32.const 60000) (i32.const 77))
            (i32.store (i32.const 200000) (i32.const 77))
            (table.set $t (i32.const 0) (ref.func $f))
            (global.set $g (i32.const 77))
            (i32.const 0))
    """
    program = two_guests.program(leaves_traces)

    async def notes() -> list[int]:
        guest = Guest()
        assert await two_guests.run(program, guest) == Ok()
        return guest.notes

    async def scenario() -> list[list[int]]:
        return [await notes() for _ in range(6)]  # each slot more than once

    assert asyncio.run(scenario()) == [[0, 1, 0, 1, 1, 0]] * 6


def test_where_there_is_no_address_space_for_a_pool_guests_map_their_own_memory() -> None:
    program = """
import logging, resource, wasmtime.component
from durable.wasm.engine import new_engine
logging.basicConfig(level=logging.INFO)
resource.setrlimit(resource.RLIMIT_AS, (64 << 30, resource.RLIM_INFINITY))
engine = new_engine(1000)
component = wasmtime.component.Component(engine, wasmtime.wat2wasm("(component)"))
print("works")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "works\n"
    assert "no address space for a pool of 1000" in ended.stderr


def test_a_pool_takes_address_space_and_not_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine: wasmtime.Engine = new_engine(5000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024, f"the pool took {grown} KiB"
    del engine
