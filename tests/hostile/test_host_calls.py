"""Every function of the host, called by a program that means harm: each call is answered, refused or traps."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.hostile.batches import NOWHERE, run_batch
from tests.hostile.calls import Host
from tests.hostile.puppet import SCRATCH, Command, Literal, Result, script
from tests.proof import figure, pieces, seed

CASES = figure(150, 1000)  # of each of two pieces
#: Elements of lists that one call may hand over.
MOST = (128 << 20) // 48
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


@pytest.mark.parametrize(("size", "state"), [(MOST, "complete"), (MOST + 1, "failed")])
def test_one_call_hands_over_so_much_at_most(size: int, state: str) -> None:
    """wasmtime grants 128 MiB to one call and takes 48 bytes for each byte of a list: no guest fills a host."""
    host = Host(NOWHERE)
    stdout, write = (host.number_of(name) for name in ("get-stdout", "[method]output-stream.write"))
    zeros = Literal(2 << 20)
    commands: list[Command] = [(stdout, []), (write, [Result(0), zeros, Literal(size), Literal(SCRATCH)])]

    async def scenario() -> tuple[str, str]:
        try:
            return await host.end_of(host.program, script(commands))
        finally:
            await host.close()

    ended, reason = asyncio.run(scenario())
    assert ended == state, reason
    assert ("too much data is being copied between the host and the guest" in reason) == (state == "failed")
