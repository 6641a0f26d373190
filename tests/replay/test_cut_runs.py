"""A task whose process dies again and again ends like one that nothing happened to. Nothing of the host is replaced
but the database and the outside; `tests/journal/test_cursor.py` has the rule by itself."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from durable.execution import tail
from durable.host import random as host_random
from durable.journal import labels
from tests.proof import figure, seed
from tests.replay.programs import Program
from tests.replay.world import World

CASES = figure(400, 50_000)  # of each of the two properties below
pytestmark = [pytest.mark.proof(minutes=2), pytest.mark.timeout(3000)]

NewWorld = Callable[..., World]


@pytest.fixture
def new_world(monkeypatch: pytest.MonkeyPatch) -> NewWorld:
    """Makes worlds of one program; the latest is where entropy comes from."""

    def make(program: Program, chance: random.Random, *, varied: bool, page: int = 1000) -> World:
        world = World(program, chance, varied, page)
        monkeypatch.setattr(host_random, "secrets", world)
        return world

    # Small enough that guests have to wait for the writer.
    monkeypatch.setattr(tail, "MAX_TAIL_ENTRIES", 8)
    return make


def cases(number: int) -> Iterator[tuple[str, Program, random.Random]]:
    first = seed()
    for case in range(number):
        chance = random.Random(f"{first} {case}")
        yield f"case {case} of seed {first}", Program(chance.randrange(3, 14), chance.randrange(2**32)), chance


def test_a_run_that_dies_anywhere_ends_like_the_run_that_nothing_happened_to(new_world: NewWorld) -> None:
    """With a world that answers each index the same, everything durable is the same: journal, log, messages."""
    crashes = 0

    async def compare(name: str, program: Program, chance: random.Random) -> None:
        nonlocal crashes
        first = chance.randrange(2**32)
        straight = await new_world(program, random.Random(first), varied=False).finish(0)
        cut = await new_world(program, random.Random(first), varied=False, page=chance.randint(1, 8)).finish(4)
        assert cut.journal == straight.journal, name
        assert (cut.logs, cut.sent, cut.taken) == (straight.logs, straight.sent, straight.taken), name
        crashes += cut.crashes

    async def all_cases() -> None:
        for case in cases(CASES):
            await compare(*case)

    asyncio.run(all_cases())
    print(f"{CASES} cases, {crashes} crashes")
    assert crashes > CASES, "too few of the runs died"


def test_what_the_outside_saw_is_what_the_journal_says(new_world: NewWorld) -> None:
    """With a world that never answers twice alike: no request and no message tells of an answer that was lost."""
    crashes = requests = 0

    async def check(name: str, program: Program, chance: random.Random) -> None:
        nonlocal crashes, requests
        world = await new_world(program, chance, varied=True, page=chance.randint(1, 8)).finish(4)
        again = await world.replay()
        assert again.digest == world.knows, f"{name}: the replay of the whole journal is another run"
        for index, told in world.requests:
            assert told == f"{again.known[index]}", f"{name}: a request at {index} told of what was never recorded"
        recorded = [event.index for event in world.journal if "Ok" in event.value and event.label == labels.NOTIFY]
        assert [message.data for message in world.sent] == [f"{again.known[index]}" for index in recorded], name
        assert world.taken == sorted(set(world.taken)), f"{name}: a notification was taken twice, or out of order"
        assert max(Counter(world.requests).values(), default=0) <= world.crashes + 1, name
        crashes += world.crashes
        requests += len(world.requests)

    async def all_cases() -> None:
        for case in cases(CASES):
            await check(*case)

    asyncio.run(all_cases())
    print(f"{CASES} cases, {crashes} crashes, {requests} requests")
    assert crashes > CASES, "too few of the runs died"
    assert requests > CASES // 4, "too few requests were sent"
