"""Statements about leases that meet others half-way: what the server is still at when the next one begins."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from durable.config import Config
from durable.journal.faults import JournalUnavailable
from durable.journal.part import JournalPart
from durable.model import Event
from durable.store.journal import JournalStore
from durable.store.leases import LeaseStore
from tests.execution.tables import Tables
from tests.execution.writing import session
from workers.identity import this_process
from workers.sweeper import Sweeper

#: Sessions that set `test.waits` wait here, with the snapshot of their statement taken: its plan is made already.
WAITS = "&options=-ctest.waits%3Dyes%20-cplan_cache_mode%3Dforce_generic_plan"
CLOCK_THAT_WAITS = """
CREATE OR REPLACE FUNCTION durable.now() RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF current_setting('test.waits', true) = 'yes' THEN
        PERFORM pg_advisory_xact_lock_shared(1);
    END IF;
    RETURN clock_timestamp();
END $$
"""


@pytest.fixture
def own(database_url: str) -> Iterator[Tables]:
    """A database whose clock this test may change."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield Tables(connection)


@asynccontextmanager
async def store(url: str) -> AsyncIterator[LeaseStore]:
    async with session(url) as connection:
        yield LeaseStore(connection)


async def until_it_waits(tables: Tables, kind: str) -> None:
    async with asyncio.timeout(20):
        while not tables.value(  # noqa: ASYNC110  only the server knows
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            " AND wait_event = %s",
            kind,
        ):
            await asyncio.sleep(0.005)


def test_a_task_that_ran_elsewhere_since_a_claim_began_is_left_for_the_next(own: Tables, database_url: str) -> None:
    """Its journal has become longer than the claim's snapshot knows."""
    one, other = own.worker(), own.worker()
    own.rows(CLOCK_THAT_WAITS)

    async def main() -> None:
        async with store(database_url) as first, store(database_url + WAITS) as second:
            await second.claim(other, 10)
            task = own.task(state="ready", lease=0)
            own.rows("SELECT pg_advisory_lock(1)")
            claiming = asyncio.create_task(second.claim(other, 10))
            await until_it_waits(own, "advisory")
            assert [claimed.lease for claimed in (await first.claim(one, 10)).tasks] == [1]
            async with session(database_url) as writer:
                events = [Event(index, "label", "1") for index in range(2)]
                assert await JournalStore(writer, one).append([JournalPart(task, 1, events)]) == {task}
            await first.release(one, [(task, 1)])
            own.rows("SELECT pg_advisory_unlock(1)")
            claim = await claiming
            if not claim.tasks:
                claim = await second.claim(other, 10)
            assert [(claimed.id, claimed.events) for claimed in claim.tasks] == [(task, 2)]

    asyncio.run(main())


def test_a_task_of_nobody_is_taken_up_and_its_worker_writes_nothing_more(own: Tables, database_url: str) -> None:
    deleted, other = own.worker(), own.worker()
    stranded, held = own.task(deleted, lease=7), own.task(other)
    own.rows("DELETE FROM durable.worker WHERE id = %s", deleted)
    assert own.rows("SELECT state::text, running_on FROM durable.task WHERE id = %s", stranded) == [("active", None)]

    async def main() -> None:
        async with store(database_url) as leases, session(database_url) as writer:
            await Sweeper(Config(), leases, other, this_process()).take_up_stranded()
            assert (own.state(stranded), own.state(held)) == ("ready", "active")
            claim = await leases.claim(other, 10)
            assert [(task.id, task.lease) for task in claim.tasks] == [(stranded, 8)]
            stale = [JournalPart(stranded, 7, [Event(0, "label", "1")])]
            assert await JournalStore(writer, deleted).append(stale) == set()
            assert await JournalStore(writer, other).append(stale) == set()

    asyncio.run(main())


async def take_back(url: str, live: int, dead: int) -> int:
    async with store(url) as leases:
        return await Sweeper(Config(), leases, live, this_process()).reclaim([dead], [])


LAST_STATEMENTS = {
    "its heartbeat": "UPDATE durable.worker SET heartbeat_at = durable.now() WHERE id = %(worker)s",
    "its claim": "UPDATE durable.task SET state = 'active', running_on = %(worker)s, lease = 2 WHERE id = %(ready)s",
    "its append": "SELECT 1 FROM durable.task WHERE running_on = %(worker)s FOR NO KEY UPDATE",
}


@pytest.mark.parametrize("what", LAST_STATEMENTS)
def test_a_reclaim_waits_for_the_last_statement_of_the_dead(journal_url: str, tables: Tables, what: str) -> None:
    dead, live = tables.worker(), tables.worker()
    tasks = [tables.task(dead), tables.task(state="ready")]

    async def main() -> int:
        with psycopg.connect(journal_url) as still_running:
            still_running.execute(LAST_STATEMENTS[what], {"worker": dead, "ready": tasks[1]})
            reclaiming = asyncio.create_task(take_back(journal_url, live, dead))
            await asyncio.sleep(0.3)
        return await reclaiming

    assert asyncio.run(main()) >= 1
    assert [tables.state(task) for task in tasks] == ["ready", "ready"]
    assert tables.rows("SELECT id FROM durable.worker WHERE id = %s", dead) == []


def test_a_reclaim_that_could_not_take_everything_says_so(journal_url: str, tables: Tables) -> None:
    dead, live = tables.worker(), tables.worker()
    tables.task(dead)
    with psycopg.connect(journal_url) as still_running:
        still_running.execute(LAST_STATEMENTS["its heartbeat"], {"worker": dead})
        with pytest.raises(JournalUnavailable, match="1 of them are locked"):
            asyncio.run(take_back(journal_url, live, dead))


def test_a_worker_with_a_claim_that_is_still_under_way_is_not_forgotten(journal_url: str, tables: Tables) -> None:
    """Nobody would ever find the task."""
    worker, task = tables.worker(), tables.task(state="ready")

    async def main() -> None:
        async with store(journal_url) as leases:
            with psycopg.connect(journal_url) as given_up:
                claim = "UPDATE durable.task SET state = 'active', running_on = %s, lease = 2 WHERE id = %s"
                given_up.execute(claim, (worker, task))
                leaving = asyncio.create_task(leases.unregister(worker))
                await until_it_waits(tables, "transactionid")
            await leaving

    asyncio.run(main())
    assert tables.rows("SELECT state::text, running_on FROM durable.task WHERE id = %s", task) == [("active", worker)]


def test_a_claim_brings_along_small_data_and_leaves_the_rest_where_it_is(own: Tables, database_url: str) -> None:
    """By its bytes as text, in whatever few bytes it is stored; and what has no text at all spoils nobody's claim."""
    small = ["null", '{"n": 1.10}', f'"{secrets.token_hex(8000)}"', f'"{"é" * 32_000}"', "1" + "0" * 65_000]
    large = [
        f'"{secrets.token_hex(8200)}"', f'"{"é" * 32_768}"', f'"{"x" * 1_000_000}"', "[1e60000, 1e60000]",
        "[" + "1e131071," * 10_000 + "1]",
    ]  # fmt: skip
    worker = own.worker()
    for data in [*small, *large]:
        own.value("UPDATE durable.task SET data = %s WHERE id = %s RETURNING id", data, own.task(state="ready"))

    async def main() -> list[str | None]:
        async with store(database_url) as leases:
            return [task.data for task in (await leases.claim(worker, 100)).tasks]

    assert asyncio.run(main()) == [*small, *[None] * len(large)]
