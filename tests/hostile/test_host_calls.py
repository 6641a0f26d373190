"""Every function of the host, called by a program that means harm: each call is answered, refused or traps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from durable.store.pg_types import SHAPES
from tests.hostile.batches import NOWHERE, run_batch
from tests.hostile.calls import Host
from tests.hostile.puppet import PAYLOAD, SCRATCH, Argument, Command, Literal, Result, Word, script
from tests.proof import figure, pieces, seed

CASES = figure(150, 1000)  # of each of two pieces
#: Elements of lists that one call may hand over.
MOST = (128 << 20) // 48
#: Where the puppet's memory is empty, for 16 MiB.
ZEROS, ANSWER = Literal(2 << 20), Literal(SCRATCH)
pytestmark = [pytest.mark.proof(minutes=2), pytest.mark.timeout(1800)]


@pieces(2)
def test_no_call_harms_the_host(database_url: str, piece: int) -> None:
    """Huge lengths, invalid text, NaN, handles that are stale, dropped twice, of another type or made up, calls in and
    out of transactions. No crash, no error of the host itself, no object left behind, flat memory."""
    told = run_batch("tests.hostile.calls", seed(), piece * CASES, CASES, database_url)
    assert told["problems"] == []
    assert (told["fibers"], told["left"]) == (0, 0), "something of a guest that is gone was kept"
    assert told["growth"] < 64 << 20, "memory grows"
    outcomes = Counter[str](told["outcomes"])
    print(f"{CASES} cases, {told['calls']} calls: {dict(outcomes)}")
    assert told["calls"] > CASES * 4, "too few calls"
    assert set(outcomes) <= {"complete", "failed", "suspended", "Fenced", "JournalUnavailable", "waited"}
    assert outcomes["complete"] > CASES // 20, "hardly a call was answered"


# -- how much one call hands over ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    host = Host(NOWHERE)
    yield host
    asyncio.run(host.close())


def end_of(host: Host, commands: list[Command], payload: str = "") -> tuple[str, str]:
    return asyncio.run(host.end_of(host.program, script(commands, payload), patience=60))


@pytest.mark.parametrize(("size", "state"), [(MOST, "complete"), (MOST + 1, "failed")])
def test_one_call_hands_over_so_much_at_most(host: Host, size: int, state: str) -> None:
    """wasmtime grants 128 MiB to one call and takes 48 bytes for each byte of a list: no guest fills a host."""
    stdout, write = (host.number_of(name) for name in ("get-stdout", "[method]output-stream.write"))
    ended, reason = end_of(host, [(stdout, []), (write, [Result(0), ZEROS, Literal(size), ANSWER])])
    assert ended == state, reason
    assert ("too much data is being copied between the host and the guest" in reason) == (state == "failed")


@pytest.mark.parametrize("shape", SHAPES)
def test_an_array_of_sql_may_have_a_hundred_thousand_values(host: Host, shape: str) -> None:
    """Of any type, there and back: the limit on the values of one call leaves that much room."""
    make = host.number_of(f"[static]value.{shape}-array")
    read = host.number_of(f"[method]value.as-{'json' if shape == 'jsonb' else shape}-array")
    may_fail = host.offered[make].has_pointer
    array: Argument = Word(SCRATCH + 4) if may_fail else Result(0)
    made: Command = (make, [ZEROS, Literal(100_000), *([ANSWER] if may_fail else [])])
    assert end_of(host, [made, (read, [array, ANSWER])]) == ("complete", "")


@pytest.mark.parametrize(("handles", "state"), [(100_000, "complete"), (100_001, "failed")])
def test_one_call_hands_over_as_many_handles_as_a_guest_may_have(host: Host, handles: int, state: str) -> None:
    subscribe, poll = host.number_of("subscribe-instant"), host.number_of("poll")
    first_handle = "\1\0\0\0"
    commands: list[Command] = [
        (subscribe, [Literal(1)]),
        (poll, [Literal(PAYLOAD), Literal(handles), ANSWER]),
    ]
    ended, reason = end_of(host, commands, first_handle * handles)
    assert ended == state, reason
    assert ("one call hands over more than 600000 values" in reason) == (state == "failed")
