"""Live calls record the labels and values of the contract; replayed ones give the same answers and do nothing else."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from durable.execution import tail as tail_module
from durable.execution.tail import lost_lease
from durable.host.pollables import ALWAYS_READY, Pollable
from durable.host.streams import OutputStream
from durable.journal.cursor import Divergence
from durable.journal.faults import Fenced
from durable.model import Notification, TaskState
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok
from tests.host.stage import NOW, SECOND, OutsideTouched, Stage, journal

STDOUT, STDERR = OutputStream("stdout"), OutputStream("stderr")
LATER = Pollable(NOW + 3600 * SECOND)
PAST = Pollable(NOW - 1)
MESSAGE = Notification(
    31, datetime(2026, 1, 2, 3, 4, 5, 60_007, UTC), 'an "event"', '{"price": 1.10, "id": 18446744073709551615}'
)
RECEIVED = ((1_767_323_045, 60_007_000), 'an "event"', MESSAGE.data)
RECORDED_MESSAGE = (
    '{"created_at": "2026-01-02T03:04:05.060007Z", "event": "an \\"event\\"", '
    '"data": {"price": 1.10, "id": 18446744073709551615}}'
)


@dataclass(frozen=True)
class Call:
    """A host function with its arguments, the event that it must record, and its answer."""

    function: str
    arguments: tuple[Any, ...]
    label: str
    value: str
    answer: Any


CALLS = {
    "wall clock": Call(
        "wasi:clocks/wall-clock.now", (), "wasi:clocks/wall-clock.now",
        '{"seconds": 1767323045, "nanoseconds": 678901000}', (1_767_323_045, 678_901_000),
    ),
    "monotonic clock": Call(
        "wasi:clocks/monotonic-clock.now", (), "wasi:clocks/monotonic-clock.now", "1767323045678901234", NOW,
    ),
    "a duration": Call(
        "wasi:clocks/monotonic-clock.subscribe-duration", (5 * SECOND,), "wasi:clocks/monotonic-clock.now",
        "1767323045678901234", Pollable(NOW + 5 * SECOND),
    ),
    "the longest duration": Call(
        "wasi:clocks/monotonic-clock.subscribe-duration", (2**64 - 1,), "wasi:clocks/monotonic-clock.now",
        "1767323045678901234", Pollable(2**64 - 1),
    ),
    "random bytes": Call(
        "wasi:random/random.get-random-bytes", (4,), "wasi:random/random.get-random-bytes",
        "[0, 85, 170, 255]", b"\x00\x55\xaa\xff",
    ),
    "no random bytes": Call(
        "wasi:random/random.get-random-bytes", (0,), "wasi:random/random.get-random-bytes", "[]", b"",
    ),
    "a random number": Call(
        "wasi:random/random.get-random-u64", (), "wasi:random/random.get-random-u64",
        "18446744073709551615", 2**64 - 1,
    ),
    "insecure random bytes": Call(
        "wasi:random/insecure.get-insecure-random-bytes", (4,), "wasi:random/random.get-insecure-random-bytes",
        "[0, 85, 170, 255]", b"\x00\x55\xaa\xff",
    ),
    "an insecure random number": Call(
        "wasi:random/insecure.get-insecure-random-u64", (), "wasi:random/random.get-insecure-random-u64",
        "18446744073709551615", 2**64 - 1,
    ),
    "stdout": Call(
        "wasi:io/streams.[method]output-stream.write", (STDOUT, b"text\n"), "wasi:io/streams.output-stream.write",
        "null", Ok(),
    ),
    "stderr": Call(
        "wasi:io/streams.[method]output-stream.blocking-write-and-flush", (STDERR, b"text\n"),
        "wasi:io/streams.output-stream.write", "null", Ok(),
    ),
    "zeroes": Call(
        "wasi:io/streams.[method]output-stream.write-zeroes", (STDOUT, 5), "wasi:io/streams.output-stream.write",
        "null", Ok(),
    ),
    "blocking zeroes": Call(
        "wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush", (STDOUT, 5),
        "wasi:io/streams.output-stream.write", "null", Ok(),
    ),
    "a pollable that is ready": Call(
        "wasi:io/poll.[method]pollable.ready", (PAST,), "wasi:io/pollable.pollable.ready", "true", True,
    ),
    "a pollable that is not ready": Call(
        "wasi:io/poll.[method]pollable.ready", (LATER,), "wasi:io/pollable.pollable.ready", "false", False,
    ),
    "blocking": Call(
        "wasi:io/poll.[method]pollable.block", (PAST,), "wasi:io/poll.pollable.block", "null", None,
    ),
    "polling": Call(
        "wasi:io/poll.poll", ([LATER, ALWAYS_READY, LATER, PAST],), "wasi:io/poll.poll", "[1, 3]", [1, 3],
    ),
    "notifying a task": Call(
        "durable:core/notify.notify", (9, "e", "[1.10]"), "durable:core/notify.notify", '{"Ok": null}', Ok(),
    ),
    "notifying nobody": Call(
        "durable:core/notify.notify", (10, "e", "1"), "durable:core/notify.notify",
        '{"Err": {"error": "task-not-found"}}', Err(Case("task-not-found")),
    ),
    "notifying a dead task": Call(
        "durable:core/notify.notify", (11, "e", "1"), "durable:core/notify.notify",
        '{"Err": {"error": "task-dead"}}', Err(Case("task-dead")),
    ),
    "a notification": Call(
        "durable:core/notify.notification-blocking", (), "durable:core/notify.notification-blocking",
        RECORDED_MESSAGE, RECEIVED,
    ),
    "a notification within a timeout": Call(
        "durable:core/notify.notification-blocking-timeout", (SECOND,),
        "durable:core/notify.notification-blocking-timeout", RECORDED_MESSAGE, RECEIVED,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every random number is the largest, and bytes reach from the smallest to the largest."""
    monkeypatch.setattr(secrets, "randbits", lambda bits: 2**bits - 1)
    monkeypatch.setattr(secrets, "token_bytes", lambda count: bytes([0, 0x55, 0xAA, 0xFF])[:count])


def live_stage() -> Stage:
    stage = Stage()
    stage.outside.notifications_waiting = [MESSAGE]
    stage.outside.states = {9: TaskState.SUSPENDED, 11: TaskState.COMPLETE}
    return stage


class NoClock:
    def now(self) -> int:
        raise OutsideTouched


def replaying_stage(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str], page: int = 1000) -> Stage:
    """A run of a recorded journal that may not touch anything but it."""

    def no_entropy(_: int) -> Any:
        raise OutsideTouched

    monkeypatch.setattr(secrets, "randbits", no_entropy)
    monkeypatch.setattr(secrets, "token_bytes", no_entropy)
    stage = Stage(journal(*entries), page=page)
    stage.outside.closed = True
    stage.run.clock = NoClock()  # type: ignore[assignment]
    return stage


def same_json(one: str, other: str) -> bool:
    return bool(json.loads(one) == json.loads(other))


@pytest.mark.parametrize("name", CALLS)
def test_a_live_call_records_the_event_of_the_contract(name: str) -> None:
    call, stage = CALLS[name], live_stage()
    assert asyncio.run(stage.call(call.function, *call.arguments)) == call.answer
    [event] = stage.events
    assert (event.index, event.label) == (0, call.label)
    assert same_json(event.value, call.value)
    assert stage.run.cursor.index == 1


@pytest.mark.parametrize("name", CALLS)
def test_a_replayed_call_gives_the_recorded_answer_and_touches_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = CALLS[name]
    for value in (call.value, json.dumps(json.loads(call.value), separators=(",", ":"), sort_keys=True)):
        if "1.10" in value or "1.10" not in call.value:  # not the one that was spoiled by printing it again
            stage = replaying_stage(monkeypatch, (call.label, value))
            assert asyncio.run(stage.call(call.function, *call.arguments)) == call.answer
            assert stage.run.cursor.index == 1
            assert (stage.parts, stage.run.replayed) == ([], 1)


@pytest.fixture(scope="module")
def printed(server: Any) -> Iterator[Callable[[str], str]]:
    """JSON text as PostgreSQL prints it."""
    with psycopg.connect(server.url, autocommit=True) as connection:

        def print_(text: str) -> str:
            row = connection.execute("SELECT (%s::json)::jsonb::text", (text,)).fetchone()
            assert row is not None
            return str(row[0])

        yield print_


@pytest.mark.parametrize("name", CALLS)
def test_an_answer_comes_back_from_postgresql_as_it_was(
    name: str, printed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call, first = CALLS[name], live_stage()
    answer = asyncio.run(first.call(call.function, *call.arguments))
    second = replaying_stage(monkeypatch, *[(event.label, printed(event.value)) for event in first.events])
    replayed = asyncio.run(second.call(call.function, *call.arguments))
    if "notification" in name:  # jsonb puts the members of the data into an order of its own
        assert (replayed[:2], same_json(replayed[2], answer[2])) == (answer[:2], True)
        assert "1.10" in replayed[2]
        assert "18446744073709551615" in replayed[2]
    else:
        assert replayed == answer


@pytest.mark.parametrize("name", CALLS)
def test_another_call_than_the_recorded_one_is_a_divergence_and_does_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = CALLS[name]
    stage = replaying_stage(monkeypatch, ("something else", "null"))
    with pytest.raises(Divergence, match=r'at index 0 has label "something else"') as caught:
        asyncio.run(stage.call(call.function, *call.arguments))
    assert f'requested "{call.label}"' in str(caught.value)
    assert (stage.parts, stage.run.cursor.index) == ([], 0)


def test_a_whole_journal_is_replayed_over_pages_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(call.label, call.value) for call in CALLS.values()]
    for page in (1, 2, 7, len(entries)):
        stage = replaying_stage(monkeypatch, *entries, page=page)

        async def scenario(stage: Stage = stage) -> None:
            for call in CALLS.values():
                assert await stage.call(call.function, *call.arguments) == call.answer

        asyncio.run(scenario())
        assert (stage.parts, stage.run.replayed) == ([], len(entries))


def test_the_first_call_past_the_last_event_is_live() -> None:
    stage = Stage(journal(("wasi:clocks/monotonic-clock.now", "5")))

    async def scenario() -> None:
        assert await stage.call("wasi:clocks/monotonic-clock.now") == 5
        assert await stage.call("wasi:clocks/monotonic-clock.now") == NOW

    asyncio.run(scenario())
    assert [(event.index, event.value) for event in stage.events] == [(1, str(NOW))]


def test_calls_wait_while_too_much_is_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_module, "MAX_TAIL_ENTRIES", 2)
    stage = Stage()

    async def scenario() -> None:
        for count in range(1, 8):
            await stage.call("wasi:random/random.get-random-u64")
            assert not stage.run.tail.is_full or count % 2 == 0

    asyncio.run(scenario())
    assert [len(part.events) for part in stage.parts] == [2, 2, 2, 1]


def test_nothing_is_recorded_once_the_lease_is_over() -> None:
    stage = Stage()
    stage.run.tail.break_off(lost_lease())
    with pytest.raises(Fenced):
        asyncio.run(stage.call("wasi:random/random.get-random-u64"))
    assert (stage.parts, stage.run.cursor.index) == ([], 0)


# -- the log ---------------------------------------------------------------------------------------------------------
def test_what_is_written_is_in_the_log_at_the_index_of_its_event() -> None:
    stage = Stage()
    write = "wasi:io/streams.[method]output-stream.write"

    async def scenario() -> None:
        await stage.call(write, STDOUT, b"one\n")
        await stage.call("wasi:random/random.get-random-u64")
        await stage.call(write, STDERR, b"two\n")

    asyncio.run(scenario())
    assert stage.logs == [(0, "one\n"), (2, "two\n")]


def test_a_character_that_is_split_over_two_writes_appears_with_the_second() -> None:
    stage = Stage()
    write = "wasi:io/streams.[method]output-stream.write"
    euro = "€".encode()

    async def scenario() -> None:
        await stage.call(write, STDOUT, b"a" + euro[:1])
        await stage.call(write, STDERR, b"(" + euro[:2])  # the streams do not mix
        await stage.call(write, STDOUT, euro[1:] + b"b")
        await stage.call(write, STDERR, euro[2:] + b")")

    asyncio.run(scenario())
    assert stage.logs == [(0, "a"), (1, "("), (2, "€b"), (3, "€)")]


def test_a_character_that_was_begun_by_a_replayed_write_is_finished_by_a_live_one() -> None:
    stage = Stage(journal(("wasi:io/streams.output-stream.write", "null")))
    write = "wasi:io/streams.[method]output-stream.write"

    async def scenario() -> None:
        await stage.call(write, STDOUT, "€".encode()[:2])
        await stage.call(write, STDOUT, "€".encode()[2:])

    asyncio.run(scenario())
    assert stage.logs == [(1, "€")]


# -- constants -------------------------------------------------------------------------------------------------------
CONSTANTS: dict[str, tuple[tuple[Any, ...], Any]] = {
    "durable:core/core.task-id": ((), 7),
    "durable:core/core.task-name": ((), "the-task"),
    "durable:core/core.task-data": ((), '{"n": 1.10}'),
    "durable:core/core.task-created-at": ((), (1_767_268_800, 250_001_000)),
    "wasi:clocks/wall-clock.resolution": ((), (0, 1000)),
    "wasi:clocks/monotonic-clock.resolution": ((), 1000),
    "wasi:clocks/monotonic-clock.subscribe-instant": ((NOW,), Pollable(NOW)),
    "wasi:cli/environment.get-environment": ((), []),
    "wasi:cli/environment.get-arguments": ((), []),
    "wasi:cli/environment.initial-cwd": ((), None),
    "wasi:cli/terminal-stdin.get-terminal-stdin": ((), None),
    "wasi:cli/terminal-stdout.get-terminal-stdout": ((), None),
    "wasi:cli/terminal-stderr.get-terminal-stderr": ((), None),
    "wasi:filesystem/preopens.get-directories": ((), []),
    "wasi:io/streams.[method]output-stream.check-write": ((STDOUT,), Ok(1 << 20)),
    "wasi:io/streams.[method]output-stream.flush": ((STDOUT,), Ok()),
    "wasi:io/streams.[method]output-stream.blocking-flush": ((STDOUT,), Ok()),
    "wasi:io/streams.[method]output-stream.subscribe": ((STDOUT,), ALWAYS_READY),
    "wasi:io/streams.[method]output-stream.splice": ((STDOUT, None, 1), Err(Case("closed"))),
    "wasi:io/streams.[method]output-stream.blocking-splice": ((STDOUT, None, 1), Err(Case("closed"))),
    "wasi:io/streams.[method]input-stream.read": ((None, 10), Err(Case("closed"))),
    "wasi:io/streams.[method]input-stream.blocking-read": ((None, 10), Err(Case("closed"))),
    "wasi:io/streams.[method]input-stream.skip": ((None, 10), Err(Case("closed"))),
    "wasi:io/streams.[method]input-stream.blocking-skip": ((None, 10), Err(Case("closed"))),
    "wasi:io/streams.[method]input-stream.subscribe": ((None,), ALWAYS_READY),
}


@pytest.mark.parametrize("function", CONSTANTS)
def test_constant_answers_are_not_recorded(function: str) -> None:
    arguments, answer = CONSTANTS[function]
    stage = Stage()
    assert asyncio.run(stage.call(function, *arguments)) == answer
    assert (stage.parts, stage.run.cursor.index) == ([], 0)


def test_the_insecure_seed_is_the_same_at_every_run_and_another_for_another_task() -> None:
    def seed(stage: Stage) -> Any:
        return asyncio.run(stage.call("wasi:random/insecure-seed.insecure-seed"))

    first, second = Stage(), Stage()
    assert seed(first) == seed(second)
    assert first.parts == []
    assert all(0 <= part < 2**64 for part in seed(first))
    object.__setattr__(second.task, "id", 8)
    assert seed(first) != seed(second)


# -- transactions ----------------------------------------------------------------------------------------------------
ENTER, EXIT = "durable:core/core.transaction-enter", "durable:core/core.transaction-exit"


def test_a_transaction_is_one_event_with_the_label_and_the_text_that_the_workflow_gave() -> None:
    stage = Stage()

    async def scenario() -> None:
        assert await stage.call(ENTER, "pay: é", False) is None
        assert stage.parts == [], "nothing has happened yet that could be recorded"
        await stage.call(EXIT, '{"type": "value", "data": 1.10}')

    asyncio.run(scenario())
    assert stage.recorded == [("pay: é", '{"type": "value", "data": 1.10}')]


def test_a_recorded_transaction_is_answered_and_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = replaying_stage(monkeypatch, ("a", '{"n": 1.10}'), ("b", "2"))

    async def scenario() -> None:
        assert await stage.call(ENTER, "a", True) == '{"n": 1.10}'
        assert await stage.call(ENTER, "b", False) == "2"
        with pytest.raises(GuestTrap, match="no transaction is open"):
            await stage.call(EXIT, "1")

    asyncio.run(scenario())
    assert stage.parts == []


def test_a_transaction_within_a_transaction_traps() -> None:
    stage = Stage()

    async def scenario() -> None:
        await stage.call(ENTER, "outer", False)
        with pytest.raises(GuestTrap, match="'inner' was entered within transaction 'outer'"):
            await stage.call(ENTER, "inner", False)

    asyncio.run(scenario())


@pytest.mark.parametrize("data", ["", "{", "NaN", '"\\u0000"', "1e9999999999999999999999", "[" * 600 + "]" * 600])
def test_a_result_that_is_not_json_traps_and_is_not_recorded(data: str) -> None:
    stage = Stage()

    async def scenario() -> None:
        await stage.call(ENTER, "pay", False)
        with pytest.raises(GuestTrap, match="the result of transaction 'pay' is not valid JSON"):
            await stage.call(EXIT, data)

    asyncio.run(scenario())
    assert stage.parts == []


def inside(name: str) -> Callable[[Stage], Coroutine[Any, Any, Any]]:
    call = CALLS[name]

    async def scenario(stage: Stage) -> Any:
        await stage.call(ENTER, "t", False)
        return await stage.call(call.function, *call.arguments)

    return scenario


@pytest.mark.parametrize("name", [name for name in CALLS if "notif" not in name])
def test_within_a_transaction_nothing_is_recorded(name: str) -> None:
    stage = live_stage()
    assert asyncio.run(inside(name)(stage)) == CALLS[name].answer
    assert (stage.parts, stage.run.cursor.index) == ([], 0)
    asyncio.run(stage.call(EXIT, "null"))
    assert stage.recorded == [("t", "null")]


@pytest.mark.parametrize("name", [name for name in CALLS if "notif" in name])
def test_notifications_trap_within_a_transaction(name: str) -> None:
    stage = live_stage()
    with pytest.raises(GuestTrap, match="cannot be used within a transaction"):
        asyncio.run(inside(name)(stage))
    assert stage.parts == []


def test_what_a_transaction_prints_appears_at_its_index_when_it_commits() -> None:
    stage, write = Stage(), "wasi:io/streams.[method]output-stream.write"

    async def scenario() -> None:
        await stage.call(write, STDOUT, b"before\n")
        await stage.call(ENTER, "t", False)
        await stage.call(write, STDOUT, b"one ")
        await stage.call(write, STDERR, b"two\n")
        assert stage.logs == [(0, "before\n")]
        await stage.call(EXIT, "null")

    asyncio.run(scenario())
    assert stage.logs == [(0, "before\n"), (1, "one two\n")]


@pytest.mark.parametrize(
    ("data", "config"), [('"too large"', {"max_event_bytes": 5}), ("1", {"max_workflow_events": 0})]
)
def test_a_transaction_whose_event_is_refused_stays_open_so_that_its_prints_are_kept(
    data: str, config: dict[str, Any]
) -> None:
    stage = Stage(**config)

    async def scenario() -> None:
        await stage.call(ENTER, "t", False)
        await stage.call("wasi:io/streams.[method]output-stream.write", STDOUT, b"the only trace\n")
        with pytest.raises(GuestTrap):
            await stage.call(EXIT, data)

    asyncio.run(scenario())
    assert stage.recorded == []
    assert stage.run.transaction is not None
    assert str(stage.run.transaction.log) == "the only trace\n"
