"""Since when a task is ready or due, which is where the latency of a claim counts from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from durable import config
from durable.store.leases import Claim, LeaseStore, WorkerIdentity
from tests.engine.database import Database
from workers.sessions import Sessions

ME = WorkerIdentity("here", "", 1, 1, 0, 0, "0")


def with_store(database: Database, work: Callable[[LeaseStore, int], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        sessions = Sessions(database.url, config.load({"database_url": database.url}, {}))
        store = LeaseStore(sessions.control)
        try:
            return await work(store, (await store.register(ME)).id)
        finally:
            await sessions.close()

    return asyncio.run(run())


def claim(database: Database) -> Claim:
    claimed: Claim = with_store(database, lambda store, worker: store.claim(worker, 10))
    return claimed


def about(seconds: float) -> Any:
    return pytest.approx(seconds, abs=5)


def test_a_new_task_has_waited_since_its_launch(database: Database) -> None:
    database.launch("noop")
    database.advance_clock(100)
    claimed = claim(database)
    assert (claimed.waits, claimed.lags) == ([about(100)], [])
    assert claimed.tasks[0].name == "noop"


def test_a_timer_is_late_since_it_was_due_and_counts_as_no_wait(database: Database) -> None:
    task = database.launch("noop")
    database.query(
        "UPDATE durable.task SET state = 'suspended', wakeup_at = durable.now() + interval '60 s' WHERE id = %s", task
    )
    database.advance_clock(100)
    claimed = claim(database)
    assert (claimed.waits, claimed.lags) == ([], [about(40)])


WAYS_TO_BECOME_READY = {
    "a notification": "INSERT INTO durable.notification (task_id, event) SELECT id, 'e' FROM durable.task",
    "an operator": "UPDATE durable.task SET state = 'ready'",
}


@pytest.mark.parametrize("statement", WAYS_TO_BECOME_READY.values(), ids=WAYS_TO_BECOME_READY.keys())
def test_a_task_that_was_woken_has_waited_since_then(database: Database, statement: Any) -> None:
    database.query("UPDATE durable.task SET state = 'suspended' WHERE id = %s", database.launch("noop"))
    database.advance_clock(1000)
    database.query(statement)
    database.advance_clock(1070)
    assert claim(database).waits == [about(70)]


def test_a_task_that_was_handed_back_or_taken_back_has_waited_since_then(database: Database) -> None:
    task = database.launch("noop")

    async def hand_back(store: LeaseStore, worker: int) -> None:
        await store.claim(worker, 1)
        await asyncio.to_thread(database.advance_clock, 500)
        await store.release(worker, [(task, 1)])

    async def die(store: LeaseStore, worker: int) -> None:
        assert (await store.claim(worker, 1)).waits == [about(30)]
        await asyncio.to_thread(database.advance_clock, 900)
        assert (await store.reclaim([worker], [], [], 30.0, 10)).freed == 1

    with_store(database, hand_back)
    database.advance_clock(530)
    with_store(database, die)
    database.advance_clock(920)
    assert claim(database).waits == [about(20)]
