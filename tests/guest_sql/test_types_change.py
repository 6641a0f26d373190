"""Values of types that were made, replaced or dropped since a statement was sent for the first time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from durable.execution.database import GuestDatabase
from durable.host import sql
from durable.host.sql_values import FUNCTIONS
from durable.journal.faults import JournalUnavailable
from durable.store import type_catalog
from tests.engine.database import wait_until
from tests.execution.tables import Tables
from tests.guest_sql.guest import ALL_ROWS, Guest, worker_with_secret
from tests.guest_sql.playing import play

Act = Callable[[Callable[[], Guest]], Awaitable[None]]


@pytest.fixture
def played(tables: Tables, database_url: str) -> Callable[[Act], None]:
    """Plays an act, which is given a maker of guests."""
    worker, secret = worker_with_secret(tables)

    def run(act: Act) -> None:
        async def actions(database: GuestDatabase) -> None:
            await act(lambda: Guest(tables.task(worker), database))

        play(database_url, secret, actions)

    return run


@pytest.fixture
def people(tables: Tables) -> Tables:
    tables.rows("CREATE TYPE app.mood AS ENUM ('well', 'bad')")
    tables.rows("CREATE DOMAIN app.name AS text")
    tables.rows("CREATE TABLE app.person (mood app.mood, moods app.mood[], name app.name)")
    tables.rows("INSERT INTO app.person VALUES ('well', '{well,bad}', 'Ada')")
    return tables


def migrate(tables: Tables) -> None:
    """Replace the types, as it is done to take a value out of an enum."""
    tables.rows("ALTER TYPE app.mood RENAME TO old_mood")
    tables.rows("CREATE TYPE app.mood AS ENUM ('well', 'fine')")
    tables.rows("CREATE DOMAIN app.new_name AS text CHECK (VALUE <> '')")
    tables.rows(
        "ALTER TABLE app.person ALTER mood TYPE app.mood USING 'well', "
        "ALTER moods TYPE app.mood[] USING '{well,fine}', ALTER name TYPE app.new_name"
    )
    tables.rows("DROP TYPE app.old_mood")


def texts(guest: Guest, row: object) -> list[object]:
    """The columns of a row as the workflow reads them."""
    readers = [FUNCTIONS[f"[method]value.as-text{suffix}"] for suffix in ("", "-array")]
    values = [value for _, value in row.value[0]]  # type: ignore[attr-defined]
    return [
        next((read for reader in readers if (read := reader(guest.run, value)) is not None), None) for value in values
    ]


async def read(guest: Guest, statement: str, *before: str) -> list[object]:
    """What the first row of a statement is to a workflow, and its transaction is committed."""
    async with guest.transaction():
        for one in before:
            await guest.send(one)
        row, *_ = await guest.send(statement)
        found = texts(guest, row)
        await guest.commit()
    return found


PEOPLE = "SELECT mood, moods, name FROM app.person"


def test_after_a_migration(played: Callable[[Act], None], people: Tables) -> None:
    async def act(new_guest: Callable[[], Guest]) -> None:
        assert await read(new_guest(), PEOPLE) == ["well", ["well", "bad"], "Ada"]
        migrate(people)
        for _ in range(2):
            assert await read(new_guest(), PEOPLE) == ["well", ["well", "fine"], "Ada"]

    played(act)


def test_in_a_schema_per_tenant(played: Callable[[Act], None], tables: Tables) -> None:
    for tenant in ("red", "blue"):
        tables.rows(f"CREATE SCHEMA {tenant}")
        tables.rows(f"CREATE TYPE {tenant}.mood AS ENUM ('{tenant}')")
        tables.rows(f"CREATE TABLE {tenant}.person AS SELECT '{tenant}'::{tenant}.mood AS mood")

    async def act(new_guest: Callable[[], Guest]) -> None:
        for tenant in ("red", "blue", "red", "blue"):
            found = await read(new_guest(), "SELECT mood FROM person", f"SET LOCAL search_path TO {tenant}")
            assert found == [tenant]

    played(act)


def test_more_columns_than_the_last_time(played: Callable[[Act], None], people: Tables) -> None:
    async def act(new_guest: Callable[[], Guest]) -> None:
        statement = "SELECT * FROM app.person"
        assert len(await read(new_guest(), statement)) == 3
        people.rows("ALTER TABLE app.person ADD nick app.name DEFAULT 'A'")
        assert await read(new_guest(), statement) == ["well", ["well", "bad"], "Ada", "A"]

    played(act)


@pytest.mark.parametrize("speaks", [False, True])
def test_of_many_rows(played: Callable[[Act], None], people: Tables, speaks: bool) -> None:
    """Which come before the types can be looked up; also while the workflow does something else."""
    statement = "SELECT mood FROM app.person, generate_series(1, 5000)"

    async def act(new_guest: Callable[[], Guest]) -> None:
        await read(new_guest(), statement)
        migrate(people)
        guest = new_guest()
        async with guest.transaction():
            await sql.query(guest.run, statement, [], ALL_ROWS)
            if speaks:
                await (await guest.run.open_database()).touch()
            *rows, count = await guest.rest()
            assert [texts(guest, row) for row in rows] == [["well"]] * 5000
            assert count.value == 5000
            await guest.commit()

    played(act)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT mood, repeat('x', 10000) FROM app.person, generate_series(1, 5000)",  # 50 MB
        "SELECT mood, 1 / (500 - n) FROM app.person, generate_series(1, 1000) AS n",
    ],
)
def test_that_cannot_be_looked_up_in_time_put_the_task_back_once(
    played: Callable[[Act], None], people: Tables, statement: str
) -> None:
    """Rather than that the workflow sees values that it cannot read."""

    async def act(new_guest: Callable[[], Guest]) -> None:
        guest = new_guest()
        async with guest.transaction():
            await guest.send(statement)
        migrate(people)
        guest = new_guest()
        async with guest.transaction():
            with pytest.raises(JournalUnavailable, match="other types"):
                await guest.send(statement)
        guest = new_guest()
        async with guest.transaction():
            row, *_ = await guest.send(statement)
            assert texts(guest, row)[0] == "well"

    played(act)


def test_on_a_server_that_took_the_place_of_another(played: Callable[[Act], None], people: Tables) -> None:
    """It may have given an OID to another type: here it has another name."""

    async def name_of_type(guest: Guest) -> str:
        async with guest.transaction():
            row, _ = await guest.send("SELECT mood FROM app.person")
            ((_, value),) = row.value[0]
            return str(value.type.name)

    async def act(new_guest: Callable[[], Guest]) -> None:
        assert await name_of_type(new_guest()) == "mood"
        people.rows("ALTER TYPE app.mood RENAME TO feeling")
        guests = "FROM pg_stat_activity WHERE application_name = 'durable guest' AND datname = current_database()"
        people.rows(f"SELECT pg_terminate_backend(pid) {guests}")
        wait_until(lambda: people.value(f"SELECT count(*) {guests}") == 0, "the end of the session")
        with pytest.raises(JournalUnavailable):
            await name_of_type(new_guest())
        assert await name_of_type(new_guest()) == "feeling"

    played(act)


def test_so_many_are_remembered_and_not_one_more(
    played: Callable[[Act], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type_catalog, "REMEMBERED_TYPES", 5)

    async def act(new_guest: Callable[[], Guest]) -> None:
        guest = new_guest()
        async with guest.transaction():
            catalog = (await guest.run.open_database())._catalog
            sizes = []
            for number in range(7):
                await guest.send(f"CREATE TYPE app.e{number} AS ENUM ('is {number}')")
                row, _ = await guest.send(f"SELECT 'is {number}'::app.e{number}")
                assert texts(guest, row) == [f"is {number}"]
                sizes.append(len(catalog))
            assert sizes == [1, 2, 3, 4, 5, 5, 5]
            row, _ = await guest.send("SELECT 'is 0'::app.e0, 'is 6'::app.e6")
            assert texts(guest, row) == ["is 0", "is 6"]

    played(act)
