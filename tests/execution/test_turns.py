"""Of a fleet a few workers follow each hint, and still it is always somebody's turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import psycopg
import pytest

from durable.config import Config
from durable.model import ClaimedTask
from durable.store.leases import Claim, LeaseStore
from durable.store.session import Session
from durable.timing import DatabaseClock
from tests.execution.tables import Tables
from tests.execution.writing import session
from workers.claims import ClaimLoop
from workers.restraint import Restraint
from workers.turns import AWAKE, Turns

WORKERS = 9
CONFIG = Config(poll_interval=100.0)


@pytest.mark.parametrize("number", range(1, 60))
def test_each_hint_is_the_turn_of_as_many_workers_as_it_should(number: int) -> None:
    fleet = [Turns() for _ in range(number)]
    for position, turns in enumerate(fleet):
        turns.learn(position, number)

    had = [0] * number
    for key in range(2 * number):
        places = [position for position, turns in enumerate(fleet) if turns.concern_us(key)]
        assert len(places) == min(AWAKE, number)
        for place in places:
            had[place] += 1
    assert len(set(had)) == 1, "everybody has as many turns"


def test_neighbours_who_die_together_do_not_have_the_same_turns() -> None:
    """Workers of one host have ids next to each other. With hosts of a quarter of the fleet, one dead host has one."""
    for key in range(40):
        places = []
        for position in range(40):
            turns = Turns()
            turns.learn(position, 40)
            if turns.concern_us(key):
                places.append(position)
        assert {place // 10 for place in places} == {0, 1, 2, 3}


def test_who_knows_of_no_heartbeat_yet_follows_every_hint() -> None:
    assert all(Turns().concern_us(key) for key in range(100))


class Fleet:
    """The claim loops of nine workers, each with its place, and who of them has claimed so far."""

    def __init__(self, connection: Session, workers: Sequence[int]) -> None:
        self.claims: Counter[int] = Counter()
        self._claimed = asyncio.Event()
        self.started: list[int] = []
        self.loops = [self._loop(connection, *one) for one in enumerate(workers)]

    def _loop(self, connection: Session, position: int, worker: int) -> ClaimLoop:
        turns = Turns()
        turns.learn(position, WORKERS)
        store = Counting(connection, lambda: self._count(position))
        restraint = Restraint(10.0, asyncio.get_running_loop().time)
        return ClaimLoop(CONFIG, store, worker, DatabaseClock(), turns, lambda: 0, self._start, lambda: (), restraint)

    def _count(self, position: int) -> None:
        self.claims[position] += 1
        self._claimed.set()

    def _start(self, task: ClaimedTask) -> None:
        self.started.append(task.id)

    async def until_claims(self, number: int) -> None:
        async with asyncio.timeout(20):
            while self.claims.total() < number:
                self._claimed.clear()
                await self._claimed.wait()


class Counting(LeaseStore):
    def __init__(self, connection: Session, count: Callable[[], None]) -> None:
        super().__init__(connection)
        self._count = count

    async def claim(self, worker_id: int, limit: int, lacking: Collection[int] = ()) -> Claim:
        self._count()
        return await super().claim(worker_id, limit, lacking)


def test_a_launch_leaves_most_of_an_idle_fleet_alone(database_url: str) -> None:
    async def main() -> None:
        async with session(database_url) as connection, asyncio.TaskGroup() as group:
            fleet = Fleet(connection, workers)
            running = [group.create_task(loop.run()) for loop in fleet.loops]
            await fleet.until_claims(WORKERS)
            for launched in range(1, 20):
                before = fleet.claims.copy()
                task = tables.task(state="ready")
                for loop in fleet.loops:
                    loop.hint(task)
                await fleet.until_claims(before.total() + AWAKE)
                await asyncio.sleep(0.02)
                assert sorted((fleet.claims - before).values()) == [1] * AWAKE
                assert len(fleet.started) == launched
            for one in running:
                one.cancel()

    with psycopg.connect(database_url, autocommit=True) as direct:
        tables = Tables(direct)
        workers = [tables.worker() for _ in range(WORKERS)]
        asyncio.run(main())


def test_what_no_hint_tells_of_is_everybodys(database_url: str) -> None:
    """A new connection to listen on: hints may have been missed."""

    async def main() -> None:
        async with session(database_url) as connection, asyncio.TaskGroup() as group:
            fleet = Fleet(connection, workers)
            running = [group.create_task(loop.run()) for loop in fleet.loops]
            await fleet.until_claims(WORKERS)
            for loop in fleet.loops:
                loop.hint(None)
            await fleet.until_claims(2 * WORKERS)
            for one in running:
                one.cancel()

    with psycopg.connect(database_url, autocommit=True) as direct:
        workers = [Tables(direct).worker() for _ in range(WORKERS)]
        asyncio.run(main())


def test_a_timer_wakes_a_few_of_a_fleet(database_url: str) -> None:
    """Everybody is told of the next timer, and those whose turn it is claim then; the others at their next poll."""

    async def main() -> list[float]:
        async with session(database_url) as connection:
            return [await loop.claim_once() for loop in Fleet(connection, workers).loops]

    with psycopg.connect(database_url, autocommit=True) as direct:
        tables = Tables(direct)
        workers = [tables.worker() for _ in range(WORKERS)]
        tables.rows(
            "UPDATE durable.task SET wakeup_at = now() + interval '50 s' WHERE id = %s", tables.task(state="suspended")
        )
        waits = asyncio.run(main())
    assert sum(wait < 60 for wait in waits) == AWAKE
    assert sum(wait == CONFIG.poll_interval for wait in waits) == WORKERS - AWAKE


def test_a_heartbeat_tells_the_place_among_those_that_claim(database_url: str) -> None:
    """Neither those that are silent for too long count, nor those that drain."""
    with psycopg.connect(database_url, autocommit=True) as direct:
        tables = Tables(direct)
        first, silent, drains, second, third = [tables.worker() for _ in range(5)]
        tables.rows("UPDATE durable.worker SET heartbeat_at = now() - interval '1 h' WHERE id = %s", silent)
        tables.rows("UPDATE durable.worker SET draining = true WHERE id = %s", drains)

    async def places() -> list[tuple[int, int]]:
        async with session(database_url) as connection:
            renewals = [await LeaseStore(connection).heartbeat(one, 30.0) for one in (first, second, third)]
            return [(renewal.position, renewal.workers) for renewal in renewals if renewal]

    assert asyncio.run(places()) == [(0, 3), (1, 3), (2, 3)]
