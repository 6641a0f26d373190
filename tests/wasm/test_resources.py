"""Handles of a guest stand for host objects: its own ones, until it drops them or gives them away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import wasmtime

from durable.wasm import resources
from durable.wasm.engine import EpochTicker
from durable.wasm.fiber import Fiber
from durable.wasm.resources import MAX_RESOURCES, Resource, Resources
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Ok
from tests.wasm.guests import HostCall, HostInterface
from tests.wasm.machine import Machine

THINGS = HostInterface(
    "test:host/things",
    [
        HostCall("[constructor]thing", '(func (param "n" u32) (result (own $thing)))', "(param i32) (result i32)"),
        HostCall("later", '(func (param "n" u32) (result (own $thing)))', "(param i32) (result i32)"),
        HostCall(
            "[method]thing.number", '(func (param "self" (borrow $thing)) (result u32))', "(param i32) (result i32)"
        ),
        HostCall(
            "[method]thing.minus",
            '(func (param "self" (borrow $thing)) (param "other" (borrow $thing)) (result u32))',
            "(param i32 i32) (result i32)",
        ),
        HostCall("sum", '(func (param "things" (list (borrow $thing))) (result u32))', "(param i32 i32) (result i32)"),
        HostCall("consume", '(func (param "thing" (own $thing)) (result u32))', "(param i32) (result i32)"),
        HostCall("pass", '(func (param "thing" (own $thing)) (result (option (own $thing))))', "(param i32 i32)"),
        HostCall("note", '(func (param "n" u32))', "(param i32)"),
        HostCall("held", "(func (result u32))", "(result i32)"),
        HostCall("wait", "(func)", ""),
    ],
    types='(export "thing" (type $thing (sub resource)))',
    drops=["thing"],
)


@dataclass(frozen=True)
class Thing:
    number: int


@dataclass
class Holder:
    """The guest of one test, who knows the table of its fiber."""

    base: int = 0
    notes: list[int] = field(default_factory=list)
    fiber: Fiber | None = None

    def held(self) -> int:
        assert self.fiber is not None
        return len(self.fiber.resources)


async def _later(holder: Holder, n: int) -> Thing:
    await asyncio.sleep(0)
    return Thing(n)


@pytest.fixture(scope="module")
def things(engine: wasmtime.Engine, ticker: EpochTicker) -> Machine:
    functions: dict[str, Any] = {
        "[constructor]thing": lambda holder, n: Thing(holder.base + n),
        "later": _later,
        "[method]thing.number": lambda holder, thing: thing.number,
        "[method]thing.minus": lambda holder, thing, other: thing.number - other.number,
        "sum": lambda holder, many: sum(thing.number for thing in many),
        "consume": lambda holder, thing: thing.number,
        "pass": lambda holder, thing: thing,
        "note": lambda holder, n: holder.notes.append(n),
        "held": lambda holder: holder.held(),
        "wait": lambda holder: asyncio.sleep(0),
    }
    return Machine(engine, ticker, THINGS, functions)


def body(text: str) -> str:
    """A guest that has the handles $a and $b, and returns ok."""
    shorthand = {
        "NEW": 'call $"[constructor]thing"',
        "NUMBER": 'call $"[method]thing.number"',
        "MINUS": 'call $"[method]thing.minus"',
        "DROP": "call $drop-thing",
        "NOTE": "call $note",
    }
    for word, call in shorthand.items():
        text = text.replace(word, call)
    return f'(func (export "run") (result i32) (local $a i32) (local $b i32) {text} (i32.const 0))'


def notes(things: Machine, text: str) -> list[int]:
    holder = Holder()
    holder.fiber = things.fiber(holder)
    assert asyncio.run(holder.fiber.run(things.program(body(text)))) == Ok()
    return holder.notes


MAKE_TWO = "(local.set $a (NEW (i32.const 10))) (local.set $b (NEW (i32.const 20)))"
NOTE_HELD = "(NOTE (call $held))"


def test_a_method_gets_the_object_of_its_handle(things: Machine) -> None:
    text = f"{MAKE_TWO} (NOTE (NUMBER (local.get $b))) (NOTE (NUMBER (local.get $a)))"
    assert notes(things, text) == [20, 10]


def test_borrowing_leaves_the_object_where_it_is(things: Machine) -> None:
    text = f"{MAKE_TWO} (NOTE (NUMBER (local.get $a))) (NOTE (NUMBER (local.get $a))) {NOTE_HELD}"
    assert notes(things, text) == [10, 10, 2]


def test_two_objects_can_be_lent_at_once(things: Machine) -> None:
    """wasmtime 50.0.1 traps in every such call (docs/adr/0007)."""
    minus = "(NOTE (MINUS (local.get $b) (local.get $a)))"
    assert notes(things, f"{MAKE_TWO} {minus} {minus} {NOTE_HELD}") == [10, 10, 2]
    assert notes(things, f"{MAKE_TWO} (NOTE (MINUS (local.get $b) (local.get $b)))") == [0]


def test_objects_can_be_lent_in_a_list(things: Machine) -> None:
    store = "(i32.store (i32.const 8) (local.get $a)) (i32.store (i32.const 12) (local.get $b))"
    text = f"{MAKE_TWO} {store} (NOTE (call $sum (i32.const 8) (i32.const 2))) {NOTE_HELD}"
    assert notes(things, text) == [30, 2]


def test_dropping_a_handle_lets_go_of_the_object(things: Machine) -> None:
    text = f"{MAKE_TWO} (DROP (local.get $a)) {NOTE_HELD} (DROP (local.get $b)) {NOTE_HELD}"
    assert notes(things, text) == [1, 0]


def test_an_object_that_is_given_away_is_the_guests_no_more(things: Machine) -> None:
    text = f"{MAKE_TWO} (NOTE (call $consume (local.get $a))) {NOTE_HELD}"
    assert notes(things, text) == [10, 1]


def test_an_object_can_come_back_under_a_new_handle(things: Machine) -> None:
    text = f"""{MAKE_TWO} (call $pass (local.get $a) (i32.const 8))
        (NOTE (i32.load (i32.const 8))) (NOTE (NUMBER (i32.load (i32.const 12)))) {NOTE_HELD}"""
    assert notes(things, text) == [1, 10, 2]


def test_a_coroutine_can_answer_with_an_object(things: Machine) -> None:
    assert notes(things, "(local.set $a (call $later (i32.const 7))) (NOTE (NUMBER (local.get $a)))") == [7]


def test_objects_stay_while_the_guest_waits(things: Machine) -> None:
    assert notes(things, f"{MAKE_TWO} (call $wait) (NOTE (NUMBER (local.get $a)))") == [10]


@pytest.mark.parametrize(
    "misuse",
    [
        "(DROP (local.get $a)) (NOTE (NUMBER (local.get $a)))",
        "(DROP (local.get $a)) (DROP (local.get $a))",
        "(NOTE (call $consume (local.get $a))) (NOTE (NUMBER (local.get $a)))",
        "(NOTE (call $consume (local.get $a))) (NOTE (call $consume (local.get $a)))",
        "(NOTE (NUMBER (i32.const 99)))",
    ],
)
def test_a_handle_that_is_not_the_guests_traps(things: Machine, misuse: str) -> None:
    with pytest.raises(GuestTrap, match="unknown handle index"):
        notes(things, MAKE_TWO + misuse)


def test_guests_with_the_same_handles_see_their_own_objects(things: Machine) -> None:
    async def scenario() -> None:
        program = things.program(body(f"{MAKE_TWO} (call $wait) (NOTE (NUMBER (local.get $a))) (DROP (local.get $a))"))
        holders = [Holder(base=100 * i) for i in range(50)]
        await asyncio.gather(*[things.run(program, holder) for holder in holders])
        assert [holder.notes for holder in holders] == [[100 * i + 10] for i in range(50)]

    asyncio.run(scenario())


# -- telling an object that it is not needed any more -----------------------------------------------------------------
class Told(Resource):
    """Notes with its holder, as a number above 1000, that it was closed."""

    def __init__(self, holder: Holder, number: int) -> None:
        self.number = number
        self._holder = holder

    def close(self) -> None:
        self._holder.notes.append(1000 + self.number)
        if self.number == 20:
            raise RuntimeError("which is logged and harms nobody")


@pytest.fixture(scope="module")
def tellers(engine: wasmtime.Engine, ticker: EpochTicker) -> Machine:
    functions: dict[str, Any] = {call.name: None for call in THINGS.calls} | {
        "[constructor]thing": Told,
        "[method]thing.number": lambda holder, thing: thing.number,
        "consume": lambda holder, thing: thing.number,
        "note": lambda holder, n: holder.notes.append(n),
        "wait": lambda holder: asyncio.sleep(0.001),
    }
    return Machine(engine, ticker, THINGS, functions)


@pytest.mark.parametrize(
    ("does", "noted"),
    [
        ("(DROP (local.get $a)) (call $wait) (NOTE (i32.const 1))", [1010, 1, 1020]),
        ("(NOTE (i32.const 1))", [1, 1010, 1020]),
        ("(NOTE (call $consume (local.get $a)))", [10, 1020]),
        ("(DROP (local.get $b)) (DROP (local.get $a)) (call $wait)", [1020, 1010]),
    ],
    ids=["dropped", "left behind", "given away", "all dropped"],
)
def test_an_object_is_told_once_that_its_handle_is_gone(tellers: Machine, does: str, noted: list[int]) -> None:
    assert notes(tellers, MAKE_TWO + does) == noted


def test_the_objects_of_a_guest_that_traps_or_is_cancelled_are_told(tellers: Machine) -> None:
    async def scenario() -> None:
        trapped, cancelled = Holder(), Holder()
        with pytest.raises(GuestTrap):
            await tellers.run(tellers.program(body(f"{MAKE_TWO} unreachable")), trapped)
        waiting = asyncio.create_task(
            tellers.run(tellers.program(body(f"{MAKE_TWO} (loop (call $wait) (br 0))")), cancelled)
        )
        await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert trapped.notes == cancelled.notes == [1010, 1020]

    asyncio.run(scenario())


# -- the limit -------------------------------------------------------------------------------------------------------
def test_the_table_holds_100000_objects_and_not_one_more() -> None:
    table = Resources(0)
    for i in range(MAX_RESOURCES):
        table.add(i)
    assert len(table) == MAX_RESOURCES == 100_000
    with pytest.raises(GuestTrap, match="more than 100000 resources"):
        table.add(None)
    table.drop(1)
    table.add("one was dropped")


def test_numbers_are_never_used_again() -> None:
    table = Resources(0)
    first = table.add("first")
    table.drop(first)
    assert table.add("second") != first


def makes(count: int, then: str = "") -> str:
    return f"""(loop $again (local.set $a (NEW (i32.const 1))) {then}
        (br_if $again (i32.lt_u (local.tee $b (i32.add (local.get $b) (i32.const 1))) (i32.const {count}))))"""


def test_a_guest_that_hoards_is_stopped_at_the_limit(things: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "MAX_RESOURCES", 50)
    assert notes(things, makes(50) + NOTE_HELD) == [50]
    with pytest.raises(GuestTrap, match="more than 50 resources"):
        notes(things, makes(51))


def test_a_guest_that_drops_what_it_made_goes_on(things: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "MAX_RESOURCES", 50)
    assert notes(things, makes(500, "(DROP (local.get $a))") + NOTE_HELD) == [0]
