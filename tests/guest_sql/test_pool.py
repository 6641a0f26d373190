"""Connections for the SQL of workflows: bounded, in the order of asking, and of no concern to the journal."""

from __future__ import annotations

import asyncio

import pytest

from durable.execution.database import GuestDatabase
from durable.host import sql
from durable.wasm.traps import GuestTrap
from tests.engine.database import wait_until
from tests.execution.tables import Tables
from tests.guest_sql.guest import ALL_ROWS, Guest, worker_with_secret
from tests.guest_sql.playing import play, write


@pytest.mark.timeout(180)
def test_a_thousand_tasks_wait_in_the_order_in_which_they_asked(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    tasks = [tables.task(worker) for _ in range(1000)]
    tables.rows("ALTER TABLE app.effect ADD at bigserial")
    open_at_once = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'durable guest'"
    most = 0

    async def ask(database: GuestDatabase) -> None:
        nonlocal most
        asking = [
            asyncio.create_task(write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 1)"))
            for task in tasks
        ]
        while not all(task.done() for task in asking):
            most = max(most, tables.value(open_at_once))
            await asyncio.sleep(0.05)
        await asyncio.gather(*asking)

    play(database_url, secret, ask)
    assert [row[0] for row in tables.rows("SELECT task FROM app.effect ORDER BY at")] == tasks
    assert tables.value("SELECT count(*) FROM durable.event") == 1000
    assert most == 1


def test_one_who_gives_up_waiting_does_not_disturb_the_others(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    holding, leaving, staying = (tables.task(worker) for _ in range(3))

    async def ask(database: GuestDatabase) -> None:
        holder = Guest(holding, database)
        async with holder.transaction():
            await holder.send("SELECT 1")
            left = asyncio.create_task(write(Guest(leaving, database), "SELECT 1"))
            stayed = asyncio.create_task(
                write(Guest(staying, database), f"INSERT INTO app.effect VALUES ({staying}, 1)")
            )
            await asyncio.sleep(0.05)
            left.cancel()
            await asyncio.wait([left])
            assert not stayed.done()
            await holder.commit()
        await stayed

    play(database_url, secret, ask)
    assert [row[0] for row in tables.rows("SELECT task_id FROM durable.event ORDER BY 1")] == [holding, staying]


def test_a_transaction_may_be_idle_for_longer_than_a_stopped_process_might(tables: Tables, database_url: str) -> None:
    """As when a workflow sends a slow request within it, also after an error, and with rows that it has not read."""
    worker, secret = worker_with_secret(tables)
    lasts = ["SELECT 1", "SELECT 1 / 0", "SELECT n FROM generate_series(1, 1e6) AS n"]
    tasks = [tables.task(worker) for _ in lasts]

    async def idle(guest: Guest, last: str) -> None:
        async with guest.transaction():
            await guest.send(f"INSERT INTO app.effect VALUES ({guest.task}, 1)")
            await guest.send("SAVEPOINT a")
            await sql.query(guest.run, last, [], ALL_ROWS)
            await asyncio.sleep(6)
            await guest.send("ROLLBACK TO a")
            await guest.commit()

    async def ask(database: GuestDatabase) -> None:
        await asyncio.gather(*[idle(Guest(task, database), last) for task, last in zip(tasks, lasts, strict=True)])

    play(database_url, secret, ask, connections=3, idle=3.0)
    assert tables.rows("SELECT task FROM app.effect ORDER BY 1") == [(task,) for task in tasks]


FAILING = "SELECT 1 / (500 - n) FROM generate_series(1, 1000) AS n"


def test_an_error_that_came_while_the_guest_did_something_else_is_told_after_the_rows(
    tables: Tables, database_url: str
) -> None:
    worker, secret = worker_with_secret(tables)

    async def ask(database: GuestDatabase) -> None:
        guest = Guest(tables.task(worker), database)
        async with guest.transaction():
            await sql.query(guest.run, FAILING, [], ALL_ROWS)
            await (await guest.run.open_database()).touch()
            answers = await guest.rest()
            assert len(answers) > 100
            assert answers[-1].value[2] == "22012"
            assert await guest.rest() == []

    play(database_url, secret, ask)


def test_an_error_that_the_guest_was_not_told_of_refuses_the_commit(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def ask(database: GuestDatabase) -> None:
        guest = Guest(task, database)
        async with guest.transaction():
            await guest.send(f"INSERT INTO app.effect VALUES ({task}, 1)")
            await sql.query(guest.run, FAILING, [], ALL_ROWS)
            await (await guest.run.open_database()).touch()
            with pytest.raises(GuestTrap, match="division by zero"):
                await guest.commit()
        assert guest.recorded_without_sql == []

    play(database_url, secret, ask)
    assert (tables.events(task), tables.value("SELECT count(*) FROM app.effect")) == ([], 0)


def test_a_guest_and_the_one_who_speaks_for_it_take_turns(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def speak(guest: Guest) -> None:
        while True:
            await (await guest.run.open_database()).touch()
            await asyncio.sleep(0)

    async def ask(database: GuestDatabase) -> None:
        guest = Guest(task, database)
        async with guest.transaction():
            await guest.send("SELECT 1")
            speaking = asyncio.create_task(speak(guest))
            for number in range(300):
                await guest.send(f"INSERT INTO app.effect VALUES ({task}, {number})")
                await asyncio.sleep(0)
            speaking.cancel()
            await asyncio.wait([speaking])
            await guest.commit()

    play(database_url, secret, ask)
    assert tables.value("SELECT count(*) FROM app.effect") == 300


@pytest.mark.parametrize("statement", ["SELECT pg_sleep(300)", "SELECT n FROM generate_series(1, 1e9) AS n"])
def test_one_who_is_stopped_within_a_statement_leaves_nothing_behind(
    tables: Tables, database_url: str, statement: str
) -> None:
    worker, secret = worker_with_secret(tables)
    stopped, next_one = tables.task(worker), tables.task(worker)

    async def ask(database: GuestDatabase) -> None:
        running = asyncio.create_task(
            write(Guest(stopped, database), f"INSERT INTO app.effect VALUES ({stopped}, 1)", statement)
        )
        await asyncio.sleep(0.3)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        await write(Guest(next_one, database), f"INSERT INTO app.effect VALUES ({next_one}, 1)")

    play(database_url, secret, ask)
    assert tables.rows("SELECT task FROM app.effect") == [(next_one,)]
    wait_until(
        lambda: tables.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'durable guest'") == 0,
        "the end of its statement",
    )
