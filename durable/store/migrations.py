"""Numbered changes of the schema, up and down, each in a transaction of its own under one lock for the
database.

The files are `durable/store/migrations/NNNN_name.up.sql` and `.down.sql`. What was applied stands in the
table `durable.migration`, which is made here right after the first file, so that no migration has to know of
it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, Connection, Cursor
from psycopg.rows import tuple_row

from durable.errors import ConfigError, SchemaMismatch
from durable.store import queries

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.(up|down)\.sql")

_SQL = queries.load("migration")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered change, with the SQL that makes it and the SQL that takes it back."""

    version: int
    name: str
    up: str
    down: str


@dataclass(frozen=True, slots=True)
class Step:
    """One migration applied, or to be applied, in one direction."""

    migration: Migration
    upwards: bool

    def __str__(self) -> str:
        return f"{self.migration.version:04}_{self.migration.name} {'up' if self.upwards else 'down'}"


@cache
def migrations() -> tuple[Migration, ...]:
    """All that this version of durable knows, by number. Raises ValueError when one is missing."""
    sql: dict[tuple[int, str], dict[str, str]] = {}
    for file in (files("durable.store") / "migrations").iterdir():
        if found := _FILE.fullmatch(file.name):
            sql.setdefault((int(found[1]), found[2]), {})[found[3]] = file.read_text(encoding="utf-8")
    known = tuple(Migration(version, name, **sql[version, name]) for version, name in sorted(sql))
    if [one.version for one in known] != list(range(1, len(known) + 1)):
        raise ValueError("migrations are numbered from 0001 without a gap, each number once")
    return known


def latest() -> int:
    """The version of the schema that this version of durable works with."""
    return len(migrations())


def current_version(conn: Connection[Any]) -> int:
    """The version of the schema in the database; 0 when there is none.

    Raises SchemaMismatch when there is a schema named durable that no migration made.
    """
    if not table_exists(_fetch(conn, EXISTS)):
        return 0
    return int(_fetch(conn, VERSION)[0][0])


def migrate(conn: Connection[Any], target: int | None = None, dry_run: bool = False) -> list[Step]:
    """Bring the schema to `target` (default: the latest version), and return the steps that were taken.

    The connection must not be in a transaction. With `dry_run` the steps are returned and none is taken. Two
    processes may do this at once: one of them waits, and then finds nothing left to do. Going down deletes
    what the schema holds.

    Raises ConfigError for a target that does not exist, SchemaMismatch when the schema is newer than this
    durable.
    """
    goal = latest() if target is None else target
    if not 0 <= goal <= latest():
        raise ConfigError(f"there is no schema version {goal}: this durable knows 0 to {latest()}")
    if dry_run:
        return plan(current_version(conn), goal)
    taken: list[Step] = []
    while step := _take_one_step(conn, goal):
        taken.append(step)
    return taken


def plan(current: int, goal: int) -> list[Step]:
    """The steps from one version to another. Raises SchemaMismatch when `current` is beyond what is known."""
    if current > latest():
        raise _too_new(current)
    if goal >= current:
        return [Step(one, upwards=True) for one in migrations()[current:goal]]
    return [Step(one, upwards=False) for one in reversed(migrations()[goal:current])]


# For a caller with its own way of running statements: EXISTS, then VERSION when `table_exists` says so, then
# `judge`.
EXISTS = _SQL["exists"]
VERSION = _SQL["version"]


def table_exists(rows: Sequence[Sequence[Any]]) -> bool:
    """What the rows of EXISTS say. Raises SchemaMismatch when the schema is there and is not ours."""
    schema, table = rows[0]
    if schema and not table:
        raise SchemaMismatch(
            "the database has a schema named durable that `durable migrate` did not make: use another database"
        )
    return bool(table)


def judge(current: int) -> None:
    """Raise SchemaMismatch when this durable cannot work with a schema of this version."""
    if current > latest():
        raise _too_new(current)
    if current == 0:
        raise SchemaMismatch("the database has no durable schema yet: run `durable migrate`")
    if current < latest():
        raise SchemaMismatch(
            f"the database schema has version {current} and this durable needs {latest()}: run `durable migrate`"
        )


def check_schema(conn: Connection[Any]) -> None:
    """Raise SchemaMismatch, one line that says what to do, unless this durable can work with the schema."""
    judge(current_version(conn))


async def check_schema_async(conn: AsyncConnection[Any]) -> None:
    """`check_schema` for an asyncio connection."""
    cursor = AsyncCursor(conn, row_factory=tuple_row)
    version = 0
    if table_exists(await (await cursor.execute(EXISTS)).fetchall()):
        version = int((await (await cursor.execute(VERSION)).fetchall())[0][0])
    judge(version)


def _too_new(current: int) -> SchemaMismatch:
    return SchemaMismatch(
        f"the database schema has version {current} and this durable knows only {latest()}: upgrade durable"
    )


def _take_one_step(conn: Connection[Any], goal: int) -> Step | None:
    """The version is read again under the lock, since another process may have been faster."""
    with conn.transaction():
        conn.execute(_SQL["lock"])
        steps = plan(current_version(conn), goal)
        if steps:
            _apply(conn, steps[0])
        return steps[0] if steps else None


def _apply(conn: Connection[Any], step: Step) -> None:
    version = {"version": step.migration.version}
    if step.upwards:
        conn.execute(step.migration.up)
        conn.execute(_SQL["create_table"])
        conn.execute(_SQL["record"], {**version, "name": step.migration.name})
    else:
        conn.execute(step.migration.down)
        # The first migration takes the whole schema back, this table included.
        if table_exists(_fetch(conn, EXISTS)):
            conn.execute(_SQL["forget"], version)


def _fetch(conn: Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return Cursor(conn, row_factory=tuple_row).execute(query).fetchall()
