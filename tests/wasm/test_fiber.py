"""A guest is a coroutine: it waits without holding anybody up, and it is gone when it is dropped."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from durable.wasm.program import Program
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Err, Ok
from tests.wasm.calls import Guest
from tests.wasm.machine import Machine

RETURNS_OK = '(func (export "run") (result i32) (i32.const 0))'
NOTES_AND_WAITS = """
    (func (export "run") (result i32)
        (call $note (call $number))
        (call $wait)
        (call $note (call $number-later))
        (i32.const 0))
"""
NEVER_ENDS = '(func (export "run") (result i32) (call $note (i32.const 1)) (loop $again (br $again)) (unreachable))'


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the guests change it, and they know no events
            await asyncio.sleep(0)


def test_a_guest_returns_ok_or_err(machine: Machine) -> None:
    assert asyncio.run(machine.run(machine.program(RETURNS_OK))) == Ok()
    error = '(func (export "run") (result i32) (i32.const 1))'
    assert asyncio.run(machine.run(machine.program(error))) == Err()


def test_a_guest_gets_the_answers_of_its_own_host_functions(machine: Machine) -> None:
    guest = Guest(number=7)
    asyncio.run(machine.run(machine.program(NOTES_AND_WAITS), guest))
    assert guest.notes == [7, 7]


def test_one_program_serves_many_runs_which_do_not_see_each_other(machine: Machine) -> None:
    counts = """
        (global $count (mut i32) (i32.const 0))
        (func (export "run") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (call $note (global.get $count))
            (i32.const 0))
    """
    program, guest = machine.program(counts), Guest()
    for _ in range(3):
        asyncio.run(machine.run(program, guest))
    assert guest.notes == [1, 1, 1]


def test_a_thousand_guests_wait_at_once_and_each_goes_on_with_its_own_answer(machine: Machine) -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        async def wait() -> None:
            await released.wait()

        guests = [Guest(number=i, wait=wait) for i in range(1000)]
        program = machine.program(NOTES_AND_WAITS)
        runs = [asyncio.create_task(machine.run(program, guest)) for guest in guests]
        await until(lambda: all(guest.waiting for guest in guests))
        assert len(machine.linker.fibers) == 1000
        assert [guest.notes for guest in guests] == [[i] for i in range(1000)]
        released.set()
        assert await asyncio.gather(*runs) == [Ok()] * 1000
        assert [guest.notes for guest in guests] == [[i, i] for i in range(1000)]
        assert machine.linker.fibers == {}

    asyncio.run(scenario())


# -- dropping --------------------------------------------------------------------------------------------------------
async def dropped(machine: Machine, program: Program, guest: Guest, when: Callable[[], bool]) -> None:
    run = asyncio.create_task(machine.run(program, guest))
    await until(when)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_a_guest_that_is_cancelled_while_it_waits_is_dropped_where_it_stands(machine: Machine) -> None:
    guest = Guest(number=5, wait=for_ever)
    asyncio.run(dropped(machine, machine.program(NOTES_AND_WAITS), guest, lambda: guest.waiting))
    assert guest.dropped, "the coroutine that it waited for goes on"
    assert guest.notes == [5]
    assert machine.linker.fibers == {}


def test_a_guest_that_is_cancelled_while_it_computes_is_dropped(machine: Machine) -> None:
    guest = Guest()
    asyncio.run(dropped(machine, machine.program(NEVER_ENDS), guest, lambda: guest.notes == [1]))
    assert machine.linker.fibers == {}


def test_dropped_guests_leave_nothing_in_memory(machine: Machine) -> None:
    program = machine.program(NOTES_AND_WAITS, pages=16)

    def drop(count: int) -> list[weakref.ref[Any]]:
        async def scenario() -> list[weakref.ref[Any]]:
            guests = [Guest(wait=for_ever) for _ in range(count)]
            runs = [asyncio.create_task(machine.run(program, guest)) for guest in guests]
            await until(lambda: all(guest.waiting for guest in guests))
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)
            return [weakref.ref(guest) for guest in guests]

        return asyncio.run(scenario())

    drop(100)
    mapped = memory_maps()
    guests = drop(100) + drop(100)
    gc.collect()
    assert [guest() for guest in guests if guest() is not None] == []
    assert memory_maps() < mapped + 50, "a waiting guest has about five maps: stacks and memories are left"
    assert machine.linker.fibers == {}


def memory_maps() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


def test_ended_guests_leave_nothing_in_memory(machine: Machine) -> None:
    program, trapping = (
        machine.program(RETURNS_OK, pages=16),
        machine.program('(func (export "run") (result i32) unreachable)'),
    )

    async def scenario() -> None:
        for _ in range(100):
            await machine.run(program)
            with pytest.raises(GuestTrap):
                await machine.run(trapping)

    asyncio.run(scenario())
    mapped = memory_maps()
    asyncio.run(scenario())
    assert memory_maps() < mapped + 50
    assert machine.linker.fibers == {}


def test_a_guest_that_ends_does_not_disturb_those_that_wait(machine: Machine) -> None:
    async def scenario() -> None:
        released = asyncio.Event()

        async def wait() -> None:
            await released.wait()

        program, short = machine.program(NOTES_AND_WAITS), machine.program(RETURNS_OK)
        waiting = [Guest(number=i, wait=wait) for i in range(20)]
        runs = [asyncio.create_task(machine.run(program, guest)) for guest in waiting]
        await until(lambda: all(guest.waiting for guest in waiting))
        for run in runs[::2]:
            run.cancel()
        await asyncio.gather(*[machine.run(short) for _ in range(20)])
        released.set()
        assert await asyncio.gather(*runs[1::2]) == [Ok()] * 10
        assert [guest.notes for guest in waiting[1::2]] == [[i, i] for i in range(1, 20, 2)]

    asyncio.run(scenario())
