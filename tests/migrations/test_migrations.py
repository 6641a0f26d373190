"""Bringing a database to the schema of this version, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from durable.errors import ConfigError, SchemaMismatch
from durable.store import migrations
from durable.store.migrations import (
    Migration,
    SchemaVersion,
    check_schema,
    check_schema_async,
    latest,
    migrate,
    schema_version,
)

Connection = psycopg.Connection[Any]


@pytest.fixture
def connection(empty_url: str) -> Iterator[Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def two_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two migrations that do not exist yet."""
    n = latest()
    known = (
        *migrations.migrations(),
        Migration(n + 1, "one_more", "CREATE TABLE durable.one (id int)", "DROP TABLE durable.one"),
        Migration(n + 2, "two_more", "CREATE TABLE durable.two (id int)", "DROP TABLE durable.two"),
    )
    monkeypatch.setattr(migrations, "migrations", lambda: known)


def tables(connection: Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'durable'")}


def test_an_empty_database_gets_the_whole_schema_once(connection: Connection) -> None:
    assert schema_version(connection).current == 0

    steps = migrate(connection)

    assert str(steps[0]) == "0001_initial up"
    assert len(steps) == latest()
    assert schema_version(connection).current == latest()
    assert {"task", "event", "log", "notification", "wasm", "worker", "migration"} <= tables(connection)
    assert migrate(connection) == []
    check_schema(connection)


def test_what_was_applied_is_written_down(connection: Connection) -> None:
    migrate(connection)

    rows = connection.execute("SELECT version, name FROM durable.migration ORDER BY version").fetchall()
    assert rows == [(one.version, one.name) for one in migrations.migrations()]


def test_every_migration_can_be_taken_back_and_applied_again(connection: Connection) -> None:
    migrate(connection)

    down = migrate(connection, target=0)

    assert str(down[-1]) == "0001_initial down"
    assert schema_version(connection).current == 0
    assert connection.execute("SELECT to_regnamespace('durable')").fetchone() == (None,)
    assert len(migrate(connection)) == latest()


def test_one_goes_up_and_down_step_by_step(connection: Connection, two_more: None) -> None:
    n = latest()
    migrate(connection)
    assert [str(step) for step in migrate(connection, target=n - 2)] == [
        f"{n:04}_two_more down",
        f"{n - 1:04}_one_more down",
    ]
    assert not {"one", "two"} & tables(connection)
    assert [str(step) for step in migrate(connection, target=n - 1)] == [f"{n - 1:04}_one_more up"]
    assert schema_version(connection).current == n - 1


def test_a_dry_run_says_the_steps_and_takes_none(connection: Connection) -> None:
    assert len(migrate(connection, dry_run=True)) == latest()
    assert schema_version(connection).current == 0


def test_a_migration_that_fails_leaves_the_version_before_it(
    connection: Connection, two_more: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    *before, last = migrations.migrations()
    broken = Migration(last.version, "broken", "CREATE TABLE durable.half (id int); SELECT nonsense", "")
    monkeypatch.setattr(migrations, "migrations", lambda: (*before, broken))

    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrate(connection)

    assert schema_version(connection).current == last.version - 1
    assert "half" not in tables(connection)


def test_processes_that_migrate_at_the_same_time_apply_each_step_once(empty_url: str) -> None:
    def migrate_alone(_: int) -> int:
        with psycopg.connect(empty_url, autocommit=True) as connection:
            return len(migrate(connection))

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(migrate_alone, range(6))) == latest()


def test_a_schema_that_is_too_old_too_new_or_not_there_is_told_in_one_line(
    connection: Connection, two_more: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said() -> str:
        with pytest.raises(SchemaMismatch) as mismatch:
            check_schema(connection)
        assert mismatch.value.exit_code == 78
        assert len(str(mismatch.value).splitlines()) == 1
        return str(mismatch.value)

    assert "no durable schema yet: run `durable migrate`" in said()
    migrate(connection, target=1)
    assert f"has version 1 and this durable needs {latest()}: run `durable migrate`" in said()
    migrate(connection)
    newer = latest()
    monkeypatch.undo()
    assert f"has version {newer} and this durable knows only {latest()}: upgrade durable" in said()
    with pytest.raises(SchemaMismatch, match="upgrade durable"):
        migrate(connection)


@pytest.fixture
def upgraded(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> int:
    """This durable is the old one of an upgrade: the schema has a migration more, which it works with. Its version."""
    n = latest()
    with monkeypatch.context() as new_version:
        known = (
            *migrations.migrations(),
            Migration(
                n + 1, "wider", f"-- works from: {n}\nCREATE TABLE durable.one (id int)", "DROP TABLE durable.one"
            ),
        )
        new_version.setattr(migrations, "migrations", lambda: known)
        migrate(connection)
    return n + 1


def test_an_old_version_works_with_a_newer_schema_that_says_so(connection: Connection, upgraded: int) -> None:
    assert check_schema(connection) == SchemaVersion(upgraded, works_from=latest())
    assert migrate(connection) == [], "`supervise --migrate` of the old version starts again during the upgrade"
    assert schema_version(connection).current == upgraded


def test_an_old_version_cannot_take_a_newer_schema_back(connection: Connection, upgraded: int) -> None:
    for dry_run in (True, False):
        with pytest.raises(SchemaMismatch, match="upgrade durable"):
            migrate(connection, latest(), dry_run)
    assert schema_version(connection).current == upgraded


def test_one_step_that_is_too_new_makes_the_schema_too_new(
    connection: Connection, upgraded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later migration that older versions work with does not make up for an earlier one."""
    connection.execute(
        "INSERT INTO durable.migration (version, name, works_from) VALUES (%s, 'breaks', %s), (%s, 'wider', %s)",
        (upgraded + 1, upgraded + 1, upgraded + 2, latest()),
    )
    for attempt in (check_schema, migrate):
        with pytest.raises(SchemaMismatch, match="upgrade durable"):
            attempt(connection)


def test_a_database_of_a_durable_that_did_not_note_it_is_read_and_completed(
    connection: Connection, request: pytest.FixtureRequest
) -> None:
    migrate(connection)
    connection.execute("ALTER TABLE durable.migration DROP COLUMN works_from")

    assert check_schema(connection) == SchemaVersion(latest(), latest())
    request.getfixturevalue("two_more")
    migrate(connection)
    assert check_schema(connection) == SchemaVersion(latest(), latest())


def test_the_check_is_there_for_coroutines_too(empty_url: str) -> None:
    async def check() -> None:
        async with await psycopg.AsyncConnection.connect(empty_url, autocommit=True) as connection:
            await check_schema_async(connection)

    with pytest.raises(SchemaMismatch, match="no durable schema yet"):
        asyncio.run(check())
    with psycopg.connect(empty_url, autocommit=True) as connection:
        migrate(connection)
    asyncio.run(check())


def test_a_schema_that_somebody_else_made_is_left_alone(connection: Connection) -> None:
    connection.execute("CREATE SCHEMA durable; CREATE TABLE durable.task (id int)")

    for attempt in (check_schema, migrate):
        with pytest.raises(SchemaMismatch, match="use another database"):
            attempt(connection)
    assert tables(connection) == {"task"}


def test_a_version_that_does_not_exist_is_refused(connection: Connection) -> None:
    for target in (-1, latest() + 1):
        with pytest.raises(ConfigError, match=f"there is no schema version {target}"):
            migrate(connection, target)
