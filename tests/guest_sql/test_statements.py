"""Statements of a workflow: rows, limits, errors, and how much memory and time they may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from durable.execution.database import GuestDatabase
from durable.host import sql
from durable.host.sql_values import FUNCTIONS, Value
from durable.store.guest_faults import idle_time
from durable.store.guest_sql import READ_AHEAD_BYTES
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Ok
from tests.execution.tables import Tables
from tests.guest_sql.guest import Guest, worker_with_secret
from tests.guest_sql.playing import play
from tests.proof import figure

Act = Callable[[Guest], Awaitable[None]]
EXECUTE, ONE_ROW, ALL_ROWS = (0, False), (1, False), (2, False)
MANY_ROWS = figure(300_000, 1_000_000)


@pytest.fixture
def within(tables: Tables, database_url: str) -> Callable[..., None]:
    """Runs an act within an open transaction, and ends the transaction."""
    worker, secret = worker_with_secret(tables)
    task = tables.task(worker)

    def run(act: Act, *, timeout: float = 20.0) -> None:
        async def actions(database: GuestDatabase) -> None:
            guest = Guest(task, database)
            async with guest.transaction():
                await act(guest)
                await guest.commit()

        play(database_url, secret, actions, timeout=timeout)

    return run


def shown(answers: list[Any]) -> list[Any]:
    """Rows as the bytes of their columns, the count as a number, an error as its fields."""
    return [
        [value.data for _, value in answer.value[0]] if answer.name == "row" else answer.value for answer in answers
    ]


# -- rows ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("options", "rows"), [(EXECUTE, 0), (ONE_ROW, 1), (ALL_ROWS, 5), ((255, True), 5)])
def test_a_limit_is_about_what_is_fetched_and_not_about_what_happens(
    within: Callable[..., None], tables: Tables, options: tuple[int, bool], rows: int
) -> None:
    async def act(guest: Guest) -> None:
        statement = "INSERT INTO app.effect SELECT 1, n FROM generate_series(1, 5) AS n RETURNING n"
        answers = await guest.send(statement, options)
        assert [answer.name for answer in answers] == ["row"] * rows + ["count"]
        assert answers[-1].value == 5

    within(act)
    assert tables.value("SELECT count(*) FROM app.effect") == 5


def test_unread_rows_are_dropped_by_the_next_statement_and_by_the_end(
    within: Callable[..., None], tables: Tables
) -> None:
    async def act(guest: Guest) -> None:
        for _ in range(3):
            await sql.query(guest.run, "SELECT n FROM generate_series(1, 2000) AS n", [], ALL_ROWS)
            await sql.fetch(guest.run)
        await sql.query(
            guest.run, "INSERT INTO app.effect SELECT 1, n FROM generate_series(1, 2000) AS n RETURNING n", [], ALL_ROWS
        )
        await sql.fetch(guest.run)

    within(act)
    assert tables.value("SELECT count(*) FROM app.effect") == 2000


def test_after_the_count_there_is_nothing(within: Callable[..., None]) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("SELECT 1")
        assert await sql.fetch(guest.run) is None
        assert await sql.fetch(guest.run) is None

    within(act)


@pytest.mark.parametrize(("length", "is_found"), [(200, True), (201, False)])
def test_the_name_of_a_type_is_looked_up_if_it_is_not_too_long(
    within: Callable[..., None], length: int, is_found: bool
) -> None:
    async def act(guest: Guest) -> None:
        answer = await sql.type_with_name(guest.run, "int4".ljust(length))
        assert isinstance(answer, Ok) == is_found

    within(act)


@pytest.mark.parametrize(("parameters", "name"), [(65_535, "row"), (65_536, "database")])
def test_a_statement_may_have_65535_parameters(within: Callable[..., None], parameters: int, name: str) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("SAVEPOINT s")
        value: Value = FUNCTIONS["[static]value.int4"](guest.run, 1)
        await sql.query(guest.run, f"SELECT ${min(parameters, 65_535)}::int4", [value] * parameters, ALL_ROWS)
        first, *_ = await guest.rest()
        assert first.name == name
        await guest.send("ROLLBACK TO s")

    within(act)


# -- arrays ----------------------------------------------------------------------------------------------------------
def value_of(guest: Guest, shape: str, values: object) -> Value:
    """What the guest makes of them, to be a parameter."""
    made: Value = FUNCTIONS[f"[static]value.{shape}-array"](guest.run, values)
    return made


@pytest.mark.parametrize(
    ("shape", "values", "text"),
    [
        ("boolean", [True, False, True], "{t,f,t}"),
        ("int1", [65, 127], "{A,\x7f}"),
        ("int2", [-(2**15), -1, 0, 2**15 - 1], "{-32768,-1,0,32767}"),
        ("int4", [-(2**31), -1, 0, 2**31 - 1], "{-2147483648,-1,0,2147483647}"),
        ("int8", [-(2**63), -1, 0, 2**63 - 1], "{-9223372036854775808,-1,0,9223372036854775807}"),
        ("float4", [1.5, -0.25, float("inf")], "{1.5,-0.25,Infinity}"),
        ("float8", [1e300, -0.1], "{1e+300,-0.1}"),
        ("text", ["a", "", 'é"'], '{a,"","é\\""}'),
        ("bytea", [b"a", b""], '{"\\\\x61","\\\\x"}'),
        ("uuid", [(1, 2)], "{00000000-0000-0001-0000-000000000002}"),
        ("int8", [], "{}"),
    ],
)
def test_an_array_is_to_postgresql_what_it_is_to_the_workflow(
    within: Callable[..., None], shape: str, values: list[Any], text: str
) -> None:
    async def act(guest: Guest) -> None:
        await sql.query(guest.run, "SELECT $1, $1::text", [value_of(guest, shape, values)], ALL_ROWS)
        row, _ = await guest.rest()
        (_, array), (_, shown) = row.value[0]
        assert FUNCTIONS[f"[method]value.as-{shape}-array"](guest.run, array) == values
        assert FUNCTIONS["[method]value.as-text"](guest.run, shown) == text

    within(act)


@pytest.mark.parametrize("array", ["ARRAY[1, NULL]", "ARRAY[NULL, 1]", "ARRAY[[1, 2], [3, 4]]"])
def test_an_array_that_has_no_value_reads_as_nothing(within: Callable[..., None], array: str) -> None:
    async def act(guest: Guest) -> None:
        row, _ = await guest.send(f"SELECT {array}")
        ((_, value),) = row.value[0]
        assert FUNCTIONS["[method]value.as-int4-array"](guest.run, value) is None

    within(act)


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.proof(minutes=1)
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("rows", "fetched"), [(MANY_ROWS, MANY_ROWS), (MANY_ROWS, 1)], ids=["fetched", "dropped"])
def test_hundreds_of_thousands_of_rows_do_not_fill_the_memory(
    within: Callable[..., None], rows: int, fetched: int
) -> None:
    """200 bytes each, whether they are fetched or dropped."""

    async def act(guest: Guest) -> None:
        before, most = resident(), 0
        statement = f"SELECT n, repeat('x', 200) FROM generate_series(1, {rows}) AS n"
        await sql.query(guest.run, statement, [], ALL_ROWS)
        for number in range(fetched):
            await sql.fetch(guest.run)
            if number % 10_000 == 0:
                most = max(most, resident())
        await guest.send("SELECT 1")
        assert max(most, resident()) - before < 32 << 20

    within(act, timeout=100.0)


def test_rows_that_are_read_ahead_do_not_fill_the_memory(within: Callable[..., None]) -> None:
    """Of 400 MB, as long as the workflow does something else than to fetch them."""

    async def act(guest: Guest) -> None:
        await sql.query(guest.run, "SELECT repeat('x', 200000) FROM generate_series(1, 2000)", [], ALL_ROWS)
        await sql.fetch(guest.run)
        before = resident()
        assert guest.run.transaction is not None and guest.run.transaction.database is not None
        for _ in range(3):
            await guest.run.transaction.database.sql.touch()
        assert resident() - before < 4 * READ_AHEAD_BYTES
        left = 0
        while await sql.fetch(guest.run) is not None:
            left += 1
        assert left == 2000, "1,999 rows and the count"

    within(act)


def test_rows_of_nothing_do_not_fill_the_memory(within: Callable[..., None]) -> None:
    """Their values have no data, but there are very many of them."""

    async def act(guest: Guest) -> None:
        nothing = ", ".join(["NULL::int"] * 1600)
        await sql.query(guest.run, f"SELECT {nothing} FROM generate_series(1, 10000)", [], ALL_ROWS)
        before = resident()
        for _ in range(3):
            await (await guest.run.open_database()).touch()
        assert resident() - before < 4 * READ_AHEAD_BYTES
        for _ in range(20):
            row = await sql.fetch(guest.run)
            assert isinstance(row, Ok) and len(row.value.value[0]) == 1600

    within(act)


@pytest.mark.parametrize(("columns", "rows"), [(0, 100), (1, 100), (20, 100), (21, 95), (1001, 1), (1600, 1)])
def test_a_hundred_rows_or_2000_values_are_read_at_once(within: Callable[..., None], columns: int, rows: int) -> None:
    """So that other tasks have their turn in between, also when the same statement had fewer columns before."""

    async def act(guest: Guest) -> None:
        for type_of_column in ("int", "text"):
            row = ", ".join(f"c{number} {type_of_column}" for number in range(columns))
            await guest.send(f"CREATE TEMP TABLE wide ({row}) ON COMMIT DROP")
            await guest.send("INSERT INTO wide SELECT FROM generate_series(1, 110)")
            await sql.query(guest.run, "SELECT * FROM wide", [], ALL_ROWS)
            assert len((await guest.run.open_database())._rows) == rows
            assert len(await guest.rest()) == 111
            await guest.send("DROP TABLE wide")

    within(act)


# -- errors ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("statement", "kind", "code", "constraint", "table"),
    [
        ("INSERT INTO app.parent VALUES (1), (1)", "unique-violation", "23505", "parent_pkey", "parent"),
        ("INSERT INTO app.effect VALUES (1, NULL)", "not-null-violation", "23502", None, "effect"),
        ("INSERT INTO app.positive VALUES (-1)", "check-violation", "23514", "positive_n_check", "positive"),
        ("INSERT INTO app.of_parent VALUES (7)", "foreign-key-violation", "23503", "of_parent_n_fkey", "of_parent"),
        ("SELECT 1 / 0", "other", "22012", None, None),
        ("nonsense", "other", "42601", None, None),
        ("SELECT $1", "other", "08P01", None, None),
        ("SELECT '\0'", "other", None, None, None),
    ],
)
def test_an_error_says_what_it_is_and_a_savepoint_undoes_it(
    within: Callable[..., None], tables: Tables, statement: str, kind: str, code: str, constraint: str, table: str
) -> None:
    tables.rows("CREATE TABLE app.positive (n int CHECK (n > 0))")
    tables.rows("CREATE TABLE app.of_parent (n int REFERENCES app.parent)")

    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await guest.send("SAVEPOINT s")
        await guest.send("INSERT INTO app.effect VALUES (1, 2)")
        (error,) = await guest.send(statement)
        assert (error.name, *error.value[1:]) == ("database", kind, code, constraint, table)
        assert error.value[0]
        await guest.send("ROLLBACK TO s")
        await guest.send("INSERT INTO app.effect VALUES (1, 3)")

    within(act)
    assert [row[0] for row in tables.rows("SELECT n FROM app.effect ORDER BY n")] == [1, 3]


def test_an_error_in_the_middle_of_the_rows_comes_after_them(within: Callable[..., None], tables: Tables) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await guest.send("SAVEPOINT s")
        answers = await guest.send("SELECT 1 / (500 - n) FROM generate_series(1, 1000) AS n")
        assert [answer.name for answer in answers[-2:]] == ["row", "database"]
        assert len(answers) > 100
        await guest.send("ROLLBACK TO s")

    within(act)
    assert tables.value("SELECT count(*) FROM app.effect") == 1


def test_after_an_error_nothing_works_until_it_is_undone(within: Callable[..., None], tables: Tables) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await guest.send("SELECT 1 / 0")
        (error,) = await guest.send("SELECT 1")
        assert error.value[2] == "25P02"

    within(act)
    assert tables.value("SELECT count(*) FROM app.effect") == 0


def test_an_error_among_rows_that_nobody_read_refuses_the_commit(within: Callable[..., None], tables: Tables) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await sql.query(guest.run, "SELECT 1 / (5000 - n) FROM generate_series(1, 9000) AS n", [], ALL_ROWS)
        await sql.fetch(guest.run)

    with pytest.raises(GuestTrap, match="division by zero"):
        within(act)
    assert tables.value("SELECT count(*) FROM app.effect") == 0


# -- the host's own clock --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("first", ["SELECT 1", "SET statement_timeout = 0", "SET lock_timeout = 0"])
def test_the_deadline_is_the_hosts_whatever_the_workflow_set(
    within: Callable[..., None], tables: Tables, first: str
) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await guest.send(first)
        await guest.send("SELECT pg_sleep(300)")

    started = time.monotonic()
    with pytest.raises(GuestTrap, match="guest_sql_timeout"):
        within(act, timeout=0.5)
    assert time.monotonic() - started < 30
    # PostgreSQL was told to stop, too; it would not notice otherwise before the 300 seconds are over.
    tables.rows("SELECT pg_stat_clear_snapshot()")
    sleeping = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(300)%%' "
        "AND state = 'active' AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    assert tables.value(sleeping) == 0
    assert tables.value("SELECT count(*) FROM app.effect") == 0


async def fetch_all(guest: Guest) -> None:
    await guest.rest()


async def fetch_one_and_go_on(guest: Guest) -> None:
    await sql.fetch(guest.run)
    await guest.send("SELECT 1")


async def do_something_else(guest: Guest) -> None:
    await (await guest.run.open_database()).touch()
    await guest.rest()


@pytest.mark.parametrize("what_follows", [fetch_all, fetch_one_and_go_on, do_something_else])
def test_the_deadline_is_that_of_a_statement_with_all_its_rows(
    within: Callable[..., None], tables: Tables, what_follows: Act
) -> None:
    """A hundred of them come every 0.2 s."""

    async def act(guest: Guest) -> None:
        await guest.send("INSERT INTO app.effect VALUES (1, 1)")
        await sql.query(guest.run, "SELECT pg_sleep(0.002) FROM generate_series(1, 3000)", [], ALL_ROWS)
        await what_follows(guest)

    with pytest.raises(GuestTrap, match="guest_sql_timeout"):
        within(act, timeout=2)
    assert tables.value("SELECT count(*) FROM app.effect") == 0


def test_what_the_workflow_does_between_two_rows_takes_no_time_of_the_statement(within: Callable[..., None]) -> None:
    async def act(guest: Guest) -> None:
        await sql.query(guest.run, "SELECT n FROM generate_series(1, 1000) AS n", [], ALL_ROWS)
        for _ in range(6):
            for _ in range(120):
                assert await sql.fetch(guest.run) is not None
            await asyncio.sleep(0.5)
        assert len(await guest.rest()) == 281

    within(act, timeout=2)


def test_what_the_worker_computes_meanwhile_takes_no_time_of_the_statement() -> None:
    """Of a million rows in ten thousand steps, each of which waits for its turn."""
    began, idle, computing = time.monotonic(), idle_time(), time.thread_time()
    while time.thread_time() - computing < 0.2:
        pass
    assert idle_time() - idle <= time.monotonic() - began - 0.2
    time.sleep(0.1)
    assert idle_time() - idle >= 0.1


def test_a_lock_that_nobody_gives_back_ends_at_the_deadline(
    within: Callable[..., None], tables: Tables, database_url: str
) -> None:
    async def act(guest: Guest) -> None:
        await guest.send("LOCK TABLE app.effect")

    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE app.effect")
        with pytest.raises(GuestTrap, match="guest_sql_timeout"):
            within(act, timeout=0.5)
