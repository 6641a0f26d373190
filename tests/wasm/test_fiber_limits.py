"""What a guest may use, and what stops it when it takes more."""

from __future__ import annotations

import asyncio
import time

import pytest

from durable.wasm.fiber import GuestLimits
from durable.wasm.traps import GuestLimit, GuestTrap
from durable.wasm.values import Ok
from tests.wasm.bombs import component
from tests.wasm.calls import Guest
from tests.wasm.machine import LIMITS, MIB, Machine

NEVER_ENDS = '(func (export "run") (result i32) (call $note (i32.const 1)) (loop $again (br $again)) (unreachable))'


def limits(*, memory: int = 16 * MIB, cpu: float = 10.0) -> GuestLimits:
    return GuestLimits(memory=memory, cpu=cpu)


def stopped(machine: Machine, body: str, *, limits: GuestLimits = LIMITS, pages: int = 1) -> GuestTrap:
    with pytest.raises(GuestTrap) as caught:
        asyncio.run(machine.run(machine.program(body, pages=pages), Guest(), limits))
    assert machine.linker.fibers == {}
    return caught.value


# -- computing time --------------------------------------------------------------------------------------------------
def test_an_endless_loop_lets_others_run_until_it_is_stopped(machine: Machine) -> None:
    async def scenario() -> int:
        turns, spinning = 0, Guest()
        run = asyncio.create_task(machine.run(machine.program(NEVER_ENDS), spinning, limits(cpu=0.25)))
        while not run.done():
            await asyncio.sleep(0)
            turns += spinning.notes == [1]
        with pytest.raises(GuestLimit, match=r"more than 0\.25 s of CPU time"):
            await run
        return turns

    # One turn per tick of 5 ms; a machine that is busy with other things gives it less.
    assert asyncio.run(scenario()) >= 5


def test_another_guest_runs_to_its_end_beside_an_endless_loop(machine: Machine) -> None:
    calls = """
        (func (export "run") (result i32) (local $i i32)
            (loop $again
                (call $wait)
                (call $note (call $number-later))
                (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
            (i32.const 0))
    """

    async def scenario() -> None:
        spin = asyncio.create_task(machine.run(machine.program(NEVER_ENDS), Guest()))
        guest = Guest(number=3, wait=lambda: asyncio.sleep(0))
        async with asyncio.timeout(30):
            assert await machine.run(machine.program(calls), guest) == Ok()
        assert guest.notes == [3] * 10
        assert not spin.done()
        spin.cancel()
        await asyncio.gather(spin, return_exceptions=True)

    asyncio.run(scenario())


def test_a_loop_of_host_calls_is_stopped_too(machine: Machine) -> None:
    for call in ("(call $note (i32.const 1))", "(call $wait)", "(drop (call $number-later))"):
        body = f'(func (export "run") (result i32) (loop $again {call} (br $again)) (unreachable))'
        assert isinstance(stopped(machine, body, limits=limits(cpu=0.1)), GuestLimit)


def test_time_spent_waiting_does_not_count(machine: Machine) -> None:
    body = '(func (export "run") (result i32) (call $wait) (call $wait) (i32.const 0))'
    guest = Guest(wait=lambda: asyncio.sleep(0.15))
    assert asyncio.run(machine.run(machine.program(body), guest, limits(cpu=0.1))) == Ok()


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


WAITS_FIVE_TIMES = f'(func (export "run") (result i32) {"(call $wait)" * 5} (i32.const 0))'


def test_computing_time_of_others_does_not_count(machine: Machine) -> None:
    async def others() -> None:
        while True:
            compute(0.05)
            await asyncio.sleep(0)

    async def scenario() -> None:
        computing = asyncio.create_task(others())
        guest = Guest(wait=lambda: asyncio.sleep(0.01))
        assert await machine.run(machine.program(WAITS_FIVE_TIMES), guest, limits(cpu=0.1)) == Ok()
        computing.cancel()

    asyncio.run(scenario())


def test_what_the_host_computes_for_a_guest_counts(machine: Machine) -> None:
    """It may be all that the guest wants: to parse JSON, or to read rows of a database."""

    async def work() -> None:
        compute(0.06)
        await asyncio.sleep(0.01)

    with pytest.raises(GuestLimit, match=r"more than 0\.1 s of CPU time"):
        asyncio.run(machine.run(machine.program(WAITS_FIVE_TIMES), Guest(wait=work), limits(cpu=0.1)))


def test_what_the_host_computes_for_a_guest_counts_again_from_every_progress(machine: Machine) -> None:
    async def work() -> None:
        compute(0.06)
        await asyncio.sleep(0)
        fiber.restart_cpu_clock()

    fiber = machine.fiber(Guest(wait=work), limits(cpu=0.1))
    assert asyncio.run(fiber.run(machine.program(WAITS_FIVE_TIMES))) == Ok()


def test_only_time_on_the_cpu_counts_so_that_a_busy_machine_stops_nobody(machine: Machine) -> None:
    body = """
        (func (export "run") (result i32) (local $i i32)
            (call $progress)
            (loop $again
                (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
            (i32.const 0))
    """
    guest = Guest(progress=lambda: time.sleep(0.2))
    assert asyncio.run(machine.run(machine.program(body), guest, limits(cpu=0.1))) == Ok()


def computes_five_times(between: str) -> str:
    """Computes for 60 ms of CPU time, five times, with a host call in between."""
    return f"""
        (func (export "run") (result i32) (local $i i32) (local $until i64)
            (loop $again
                (local.set $until (i64.add (call $cpu-ms) (i64.const 60)))
                (loop $compute (br_if $compute (i64.lt_u (call $cpu-ms) (local.get $until))))
                {between}
                (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
            (i32.const 0))
    """


def test_the_limit_counts_again_from_every_progress(machine: Machine) -> None:
    guest = Guest()
    fiber = machine.fiber(guest, limits(cpu=0.15))
    guest.progress = fiber.restart_cpu_clock
    assert asyncio.run(fiber.run(machine.program(computes_five_times("(call $progress)")))) == Ok()


def test_without_progress_computing_time_adds_up_over_host_calls(machine: Machine) -> None:
    body = computes_five_times("(call $wait)")
    assert isinstance(stopped(machine, body, limits=limits(cpu=0.15)), GuestLimit)


# -- memory ----------------------------------------------------------------------------------------------------------
GROWS = """
    (func (export "run") (result i32)
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (call $note (memory.size))
        (i32.const 0))
"""


def test_memory_grows_up_to_its_limit_and_then_the_guest_is_told_no(machine: Machine) -> None:
    guest = Guest()
    assert asyncio.run(machine.run(machine.program(GROWS), guest, limits(memory=4 * MIB))) == Ok()
    assert guest.notes == [64]  # pages of 64 KiB


def test_a_guest_has_one_memory_so_that_its_limit_is_the_limit_of_all(machine: Machine) -> None:
    body = '(memory $more 1) (func (export "run") (result i32) (i32.const 0))'
    reason = stopped(machine, body, limits=limits(memory=4 * MIB))
    assert isinstance(reason, GuestLimit)
    assert "memory count" in str(reason)


def test_a_guest_that_starts_with_all_the_memory_it_may_have_runs(machine: Machine) -> None:
    body = '(func (export "run") (result i32) (i32.const 0))'
    assert asyncio.run(machine.run(machine.program(body, pages=64), Guest(), limits(memory=4 * MIB))) == Ok()


def test_a_guest_that_starts_with_more_memory_than_the_limit_is_stopped_with_the_reason(machine: Machine) -> None:
    body = '(func (export "run") (result i32) (i32.const 0))'
    reason = stopped(machine, body, pages=65, limits=limits(memory=4 * MIB))
    assert isinstance(reason, GuestLimit)
    assert "exceeds memory limits" in str(reason)


def test_tables_have_a_limit(machine: Machine) -> None:
    body = """
        (table $t 1 funcref)
        (func (export "run") (result i32)
            (call $note (table.grow $t (ref.null func) (i32.const 999999)))
            (call $note (table.grow $t (ref.null func) (i32.const 1)))
            (i32.const 0))
    """
    guest = Guest()
    asyncio.run(machine.run(machine.program(body), guest))
    assert guest.notes == [1, 2**32 - 1]


def test_a_guest_may_have_20_tables_with_a_million_elements(machine: Machine) -> None:
    run = '(func (export "run") (result i32) (i32.const 0))'
    tables = "(table 1 funcref)" * 19 + "(table 1000000 funcref)"
    assert asyncio.run(machine.run(machine.program(tables + run), Guest())) == Ok()
    reason = stopped(machine, tables + "(table 1 funcref)" + run)
    assert isinstance(reason, GuestLimit)
    assert "table count too high at 21" in str(reason)


@pytest.mark.parametrize(("instances", "fits"), [(200, True), (201, False)])
def test_a_guest_may_have_200_core_instances(machine: Machine, instances: int, fits: bool) -> None:
    program = machine.load(component("", "(core instance (instantiate $module))" * (instances - 1)))
    if fits:
        assert asyncio.run(machine.run(program, Guest())) == Ok()
        return
    with pytest.raises(GuestLimit, match="instance count too high at 201"):
        asyncio.run(machine.run(program, Guest()))


# -- traps -----------------------------------------------------------------------------------------------------------
def test_endless_recursion_goes_over_a_limit(machine: Machine) -> None:
    body = '(func $down (export "run") (result i32) (i32.add (call $down) (i32.const 1)))'
    reason = stopped(machine, body)
    assert isinstance(reason, GuestLimit)
    assert "call stack exhausted" in str(reason)


def test_recursion_into_host_calls_goes_over_a_limit_and_not_over_the_host(machine: Machine) -> None:
    body = """
        (func $down (param i32) (result i32)
            (call $note (local.get 0))
            (i32.add (call $down (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
        (func (export "run") (result i32) (call $down (i32.const 0)))
    """
    assert isinstance(stopped(machine, body), GuestLimit)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("unreachable", "unreachable"),
        ("(i32.div_u (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.load (i32.const -8))", "out of bounds memory access"),
        ("(i32.const 2)", "discriminant"),
    ],
)
def test_a_trap_is_told_with_its_reason_and_is_no_limit(machine: Machine, body: str, reason: str) -> None:
    trap = stopped(machine, f'(func (export "run") (result i32) {body})')
    assert not isinstance(trap, GuestLimit)
    assert reason in str(trap)


def test_a_trap_shows_where_it_happened(machine: Machine) -> None:
    body = '(func $innermost unreachable) (func (export "run") (result i32) (call $innermost) (i32.const 0))'
    assert "innermost" in str(stopped(machine, body))


def test_a_trap_while_the_guest_is_set_up_is_told_like_any_other(machine: Machine) -> None:
    body = '(func $begin unreachable) (start $begin) (func (export "run") (result i32) (i32.const 0))'
    assert "unreachable" in str(stopped(machine, body))


def test_an_endless_loop_while_the_guest_is_set_up_is_stopped(machine: Machine) -> None:
    body = """
        (func $begin (loop $again (br $again))) (start $begin)
        (func (export "run") (result i32) (i32.const 0))
    """
    assert isinstance(stopped(machine, body, limits=limits(cpu=0.1)), GuestLimit)
