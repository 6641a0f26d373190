"""What a host function raises reaches the one who runs the guest: as it was, nobody else, and never through wasm."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

import pytest

from durable.wasm.program import Program
from tests.wasm.calls import Guest
from tests.wasm.machine import Machine

FAILS = """
    (func (export "run") (result i32)
        (call $wait)
        (call $note (i32.const 1))
        (call $fail)
        (call $note (i32.const 2))
        (i32.const 0))
"""
FAILS_LATER = FAILS.replace("(call $fail)", "(call $fail-later (i32.const 8))")


class Mishap(Exception):
    pass


class Catastrophe(BaseException):
    pass


KINDS: list[type[BaseException]] = [
    Mishap, Catastrophe, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, MemoryError,
    RecursionError, StopAsyncIteration, UnicodeError,
]  # fmt: skip


async def caught(machine: Machine, program: Program, guest: Guest) -> BaseException | None:
    try:
        await machine.run(program, guest)
    except BaseException as error:
        # Also KeyboardInterrupt must not get into the event loop of the tests.
        return error
    return None


@pytest.mark.parametrize("body", [FAILS, FAILS_LATER], ids=["at once", "later"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_exception_of_any_kind_arrives_as_it_was_raised(
    machine: Machine, kind: type[BaseException], body: str
) -> None:
    guest = Guest(error=kind("mine"))
    assert asyncio.run(caught(machine, machine.program(body), guest)) is guest.error
    assert guest.notes == [1], "the guest went on after its host function had failed"
    assert machine.linker.fibers == {}


def test_each_of_many_guests_gets_its_own_exception(machine: Machine) -> None:
    chance = random.Random(20)

    async def scenario() -> None:
        programs = [machine.program(FAILS), machine.program(FAILS_LATER)]
        guests = [
            Guest(error=chance.choice(KINDS)(str(i)), wait=lambda: asyncio.sleep(chance.choice([0, 0, 0.001])))
            for i in range(400)
        ]
        raised = await asyncio.gather(*[caught(machine, chance.choice(programs), guest) for guest in guests])
        assert [error for error, guest in zip(raised, guests, strict=True) if error is not guest.error] == []

    asyncio.run(scenario())
    assert machine.linker.fibers == {}


def test_guests_go_on_beside_one_that_failed(machine: Machine) -> None:
    async def scenario() -> None:
        failing, calm = machine.program(FAILS), machine.program(FAILS.replace("(call $fail)", ""))
        guests = [Guest(error=KeyboardInterrupt(), wait=lambda: asyncio.sleep(0)) for _ in range(50)]
        raised = await asyncio.gather(
            *[caught(machine, failing if i % 2 else calm, guest) for i, guest in enumerate(guests)]
        )
        assert raised[::2] == [None] * 25
        assert [guest.notes for guest in guests[::2]] == [[1, 2]] * 25

    asyncio.run(scenario())


def test_an_answer_that_does_not_fit_is_an_error_of_the_host_at_once_and_later(machine: Machine) -> None:
    for call in ("$number", "$number-later"):
        program = machine.program(f'(func (export "run") (result i32) (call $note (call {call})) (i32.const 0))')
        guest = Guest(number=2**32)
        assert type(asyncio.run(caught(machine, program, guest))).__name__ == "error"  # struct.error
        assert guest.notes == []


def test_an_exception_does_not_keep_the_frames_of_the_callback_alive(machine: Machine) -> None:
    guest = Guest(error=Mishap())
    error = asyncio.run(caught(machine, machine.program(FAILS), guest))
    assert error is not None
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "call" not in frames, "the frame of the ctypes callback, whose stack is gone"


def test_an_exception_is_let_go_of_with_its_guest(machine: Machine) -> None:
    guest = Guest(error=Mishap())
    error, known = weakref.ref(guest.error) if guest.error else None, weakref.ref(guest)
    asyncio.run(caught(machine, machine.program(FAILS), guest))
    del guest
    gc.collect()
    assert error is not None
    assert error() is None
    assert known() is None
