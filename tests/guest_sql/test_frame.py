"""The frame around a workflow's transaction: what it costs, what it withstands, and what becomes of the connection."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from durable.execution.database import GuestDatabase
from durable.journal.faults import DatabaseImpaired, Fenced, JournalUnavailable
from durable.store.retention import RetentionStore
from durable.store.session import Session
from durable.wasm.traps import GuestTrap
from tests.chaos.proxy import proxied
from tests.engine.database import wait_until
from tests.execution.tables import Tables
from tests.guest_sql.guest import Guest, worker_with_secret
from tests.guest_sql.playing import play, write
from tests.impaired import SAYS, impaired


def effects(tables: Tables) -> list[int]:
    return [row[0] for row in tables.rows("SELECT n FROM app.effect ORDER BY n")]


# -- the lease -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "loss",
    [
        "UPDATE durable.task SET lease = 2",
        "UPDATE durable.task SET state = 'ready', running_on = NULL",
        "UPDATE durable.task SET state = 'cancelled'",
        "UPDATE durable.worker SET secret = gen_random_uuid()",
    ],
)
def test_nothing_is_committed_once_the_lease_is_over(tables: Tables, database_url: str, loss: str) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def late(database: GuestDatabase) -> None:
        guest = Guest(task, database)
        async with guest.transaction():
            await guest.send(f"INSERT INTO app.effect VALUES ({task}, 1)")
            tables.rows(loss)
            with pytest.raises(Fenced):
                await guest.commit()

    play(database_url, secret, late)
    assert (effects(tables), tables.events(task)) == ([], [])


def test_a_stale_lease_commits_nothing_even_if_the_protecting_row_was_removed(
    tables: Tables, database_url: str
) -> None:
    worker, _ = worker_with_secret(tables)
    task = tables.task(worker)

    async def forge(database: GuestDatabase) -> None:
        with pytest.raises(Fenced):
            await write(
                Guest(task, database),
                f"INSERT INTO app.effect VALUES ({task}, 1)",
                "DELETE FROM durable.guest_transaction",
            )

    play(database_url, uuid4(), forge)
    assert (effects(tables), tables.events(task)) == ([], [])


# -- a full disk -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("table", ["event", "guest_transaction"])
def test_the_hosts_part_of_a_transaction_that_finds_no_room_is_not_the_workflows_fault(
    tables: Tables, database_url: str, table: str
) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def meet_a_full_disk(database: GuestDatabase) -> None:
        with pytest.raises(DatabaseImpaired, match=SAYS), impaired(database_url, f"INSERT ON durable.{table}"):
            await write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 1)")
        assert (effects(tables), tables.events(task)) == ([], [])
        await write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 1)")

    play(database_url, secret, meet_a_full_disk)
    assert effects(tables) == [1]


def test_a_commit_that_finds_no_room_for_the_workflows_deferred_work_is_tried_again(
    tables: Tables, database_url: str
) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def meet_a_full_disk(database: GuestDatabase) -> None:
        with pytest.raises(DatabaseImpaired, match=SAYS), impaired(database_url, "INSERT ON app.effect"):
            await write(Guest(task, database), f"INSERT INTO app.later VALUES ({task}, 1)")

    play(database_url, secret, meet_a_full_disk)
    assert (effects(tables), tables.events(task)) == ([], [])


def test_a_workflows_own_statement_that_finds_no_room_is_answered_so(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)
    answers: list[Any] = []

    async def meet_a_full_disk(database: GuestDatabase) -> None:
        guest = Guest(task, database)
        async with guest.transaction():
            with impaired(database_url, "INSERT ON app.effect"):
                answers.extend(await guest.send(f"INSERT INTO app.effect VALUES ({task}, 1)"))

    play(database_url, secret, meet_a_full_disk)
    [error] = answers
    assert error.value[:3] == (SAYS, "other", "53100")


# -- what a workflow has set -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "setting",
    [
        "SET statement_timeout = '20ms'",
        "SET lock_timeout = '1ms'",
        "SET LOCAL search_path = hijack, pg_catalog",
        "SET ROLE {other}",
        "PREPARE _pg3_0 AS SELECT true",
        "DEALLOCATE ALL",
        "SET standard_conforming_strings = off",
    ],
)
def test_what_a_workflow_set_does_not_keep_its_event_from_being_recorded(
    tables: Tables, database_url: str, other_role: str, setting: str
) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def honest(database: GuestDatabase) -> None:
        statements = (f"INSERT INTO app.effect VALUES ({task}, 1)", setting.replace("{other}", other_role))
        with psycopg.connect(database_url) as locking:
            # The commit has to wait for longer than the workflow would let it.
            locking.execute("SELECT 1 FROM durable.task WHERE id = %s FOR UPDATE", (task,))
            committing = asyncio.create_task(write(Guest(task, database), *statements))
            await asyncio.sleep(0.2)
            locking.rollback()
            await committing

    play(database_url, secret, honest)
    assert effects(tables) == [1]
    assert tables.events(task) == [(0, "sql", "true")]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SET TRANSACTION READ ONLY", "read-only transaction"),
        ("INSERT INTO app.refused VALUES (1)", "refused"),
        ("INSERT INTO app.child VALUES (1)", "violates foreign key constraint"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1 / (2 - x) FROM generate_series(1, 3) AS x", "division by zero"),
        ("SET client_encoding = 'LATIN1'", "client_encoding"),
    ],
)
def test_a_commit_that_will_always_be_refused_fails_the_task_with_the_reason(
    tables: Tables, database_url: str, statement: str, reason: str
) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def refused(database: GuestDatabase) -> None:
        with pytest.raises(GuestTrap, match=reason):
            await write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 1)", statement)

    play(database_url, secret, refused)
    assert (effects(tables), tables.events(task)) == ([], [])


def test_a_login_whose_transactions_are_read_only_by_default_can_write(
    tables: Tables, database_url: str, own_login: str
) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)
    login = psycopg.conninfo.conninfo_to_dict(own_login)["user"]
    tables.rows(f"ALTER ROLE {login} SET default_transaction_read_only = on")

    async def honest(database: GuestDatabase) -> None:
        await write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 1)")

    play(own_login, secret, honest)
    assert effects(tables) == [1]


def test_a_connection_that_breaks_puts_the_task_back(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    async def broken(database: GuestDatabase) -> None:
        with pytest.raises(JournalUnavailable):
            await write(
                Guest(task, database),
                f"INSERT INTO app.effect VALUES ({task}, 1)",
                "SELECT pg_terminate_backend(pg_backend_pid())",
            )
        await write(Guest(task, database), f"INSERT INTO app.effect VALUES ({task}, 2)")

    play(database_url, secret, broken)
    assert effects(tables) == [2]


def test_a_workflow_cannot_keep_the_journal_of_another_one_for_ever(
    tables: Tables, database_url: str, own_login: str
) -> None:
    worker, secret = worker_with_secret(tables)
    old = tables.task(None, state="complete")
    tables.rows("INSERT INTO durable.event (task_id, index, label, value) VALUES (%s, 0, 'e', '1')", old)
    tables.rows("UPDATE durable.task SET completed_at = durable.now() - interval '1 h' WHERE id = %s", old)

    async def keep(database: GuestDatabase) -> None:
        await write(Guest(tables.task(worker), database), f"SELECT durable.guest_begin({old}, 0)")
        session = Session(database_url, "test", timeout=20, idle_in_transaction=10)
        assert await RetentionStore(session, 1).delete_ended_tasks(60, 10) == 1
        await session.close()

    play(own_login, secret, keep)
    assert tables.events(old) == []
    assert tables.value("SELECT count(*) FROM durable.guest_transaction") == 0


# -- the connection afterwards ---------------------------------------------------------------------------------------
LEFTOVERS = [
    "SET search_path = app",
    "SET statement_timeout = '1h'",
    "SET idle_in_transaction_session_timeout = 0",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET application_name = 'mine'",
    "SET ROLE {other}",
    "SET SESSION AUTHORIZATION {other}",
    "LISTEN somewhere",
    "CREATE TEMP TABLE mine (x int)",
    "PREPARE mine AS SELECT 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "SELECT pg_advisory_lock(7)",
    "SELECT set_config('work_mem', '64kB', false)",
]


@pytest.mark.parametrize("statement", LEFTOVERS)
def test_nothing_of_a_workflow_stays_on_the_connection(
    tables: Tables, database_url: str, other_role: str, statement: str
) -> None:
    worker, secret = worker_with_secret(tables)

    async def leave(database: GuestDatabase) -> None:
        fresh = await Guest(tables.task(worker), database).state_of_its_session()
        guest = Guest(tables.task(worker), database)
        async with guest.transaction():
            await guest.send(statement.replace("{other}", other_role))
            if statement.startswith("LISTEN"):
                await guest.commit()  # which begins it
            elif "AUTHORIZATION" not in statement:
                assert await guest.session_state() != fresh, "the statement leaves nothing"
                await guest.commit()
        assert await Guest(tables.task(worker), database).state_of_its_session() ^ fresh == set()

    play(database_url, secret, leave)


LISTENERS = {
    "itself": ["LISTEN itself"],
    "in a block": ["DO $$ BEGIN EXECUTE 'LIS' || 'TEN itself'; END $$"],
    "when it commits": [
        "CREATE FUNCTION pg_temp.listen() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN LISTEN itself; RETURN NULL; END $$",
        "CREATE TEMP TABLE late (n int)",
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION pg_temp.listen()",
        "INSERT INTO late VALUES (1)",
    ],
}


@pytest.mark.parametrize("how", LISTENERS)
def test_a_workflow_that_notifies_itself_fills_no_memory(tables: Tables, database_url: str, how: str) -> None:
    """16 MB, which come with the commit if the session listens."""
    worker, secret = worker_with_secret(tables)

    async def flood(database: GuestDatabase) -> None:
        guest = Guest(tables.task(worker), database)
        async with guest.transaction():
            for statement in LISTENERS[how]:
                await guest.send(statement)
            await guest.send(
                "SELECT count(pg_notify('itself', repeat('x', 7900) || n)) FROM generate_series(1, 2000) AS n"
            )
            connection = (await guest.run.open_database())._connection
            await guest.commit()
        assert await Guest(tables.task(worker), database).state_of_its_session()
        assert not connection.closed
        assert not connection._notifies_backlog

    with proxied(database_url) as proxy:
        play(proxy.url(database_url), secret, flood)
        if how != "when it commits":
            assert proxy.carried < 1 << 20


# -- what it costs ---------------------------------------------------------------------------------------------------
def test_a_transaction_of_one_statement_is_three_messages(tables: Tables, database_url: str, tmp_path: Path) -> None:
    worker, secret = worker_with_secret(tables)
    trace = tmp_path / "trace"

    async def traced(database: GuestDatabase) -> None:
        statement = "INSERT INTO app.effect VALUES (1, 1)"
        await write(Guest(tables.task(worker), database), statement)  # which teaches us the types of its columns
        guest = Guest(tables.task(worker), database)
        async with guest.transaction():
            connection = (await guest.run.open_database())._connection
        with trace.open("wb") as file:
            connection.pgconn.trace(file.fileno())
            await write(Guest(tables.task(worker), database), statement)
            connection.pgconn.untrace()

    play(database_url, secret, traced)
    lines = [line.split("\t") for line in trace.read_text().splitlines()]
    sent = [line[3] for line in lines if line[1:2] == ["F"] and line[3] in ("Query", "Sync")]
    # BEGIN, the statement, COMMIT; and the clean-up of the connection, which nobody waits for.
    assert (sent.count("Query"), sent.count("Sync")) == (2, 2)


def test_a_transaction_of_one_statement_costs_the_database_two_transactions(tables: Tables, database_url: str) -> None:
    worker, secret = worker_with_secret(tables)
    tasks = [tables.task(worker) for _ in range(100)]

    async def many(database: GuestDatabase) -> None:
        for task in tasks:
            await write(Guest(task, database), "INSERT INTO app.effect VALUES (1, 1)")

    before = transactions(tables)
    play(database_url, secret, many)
    wait_until(lambda: transactions(tables) - before >= len(tasks), "the statistics of the sessions")
    # Its own, and the clean-up of its connection, which writes nothing.
    assert transactions(tables) - before <= 2 * len(tasks) + OVERHEAD


#: Transactions of the test itself, and of new connections.
OVERHEAD = 30


def transactions(tables: Tables) -> int:
    tables.rows("SELECT pg_stat_force_next_flush()")  # of this session, which has made the tasks
    tables.rows("SELECT pg_stat_clear_snapshot()")
    others = tables.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'durable guest'")
    count = tables.value("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    return 0 if others else int(count)
