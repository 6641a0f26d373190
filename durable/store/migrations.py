"""Numbered changes of the schema, up and down, each in a transaction of its own under one lock for the
database.

The files are `durable/store/migrations/NNNN_name.up.sql` and `.down.sql`. What was applied stands in the
table `durable.migration`, which is made here right after the first file, so that no migration has to know of
it.

During an upgrade without downtime processes of the old version work with the new schema. Whether they can is
what the author of a migration says in the first line of its up file: `-- works from: 5` when a durable that
knows no later version than 5 does its work as before, and can be trusted to, on what the migration makes. A
file without that line says that only those can that know it.
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
_WORKS_FROM = re.compile(r"-- works from: (\d+)\n")

_SQL = queries.load("migration")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered change, with the SQL that makes it and the SQL that takes it back."""

    version: int
    name: str
    up: str
    down: str

    @property
    def works_from(self) -> int:
        """The oldest schema version that a durable may be made for and still work with this one."""
        said = _WORKS_FROM.match(self.up)
        return int(said[1]) if said else self.version


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The version of a schema, and the oldest that a durable may be made for to work with it; 0 where there is none."""

    current: int = 0
    works_from: int = 0

    @property
    def too_new(self) -> bool:
        """Whether this durable cannot work with it, being too old."""
        return self.works_from > latest()


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
    """The version of the schema that this version of durable is made for."""
    return len(migrations())


def schema_version(conn: Connection[Any]) -> SchemaVersion:
    """The version of the schema in the database.

    Raises SchemaMismatch when there is a schema named durable that no migration made.
    """
    if not _table_exists(_fetch(conn, _SQL["exists"])):
        return SchemaVersion()
    return SchemaVersion(*_fetch(conn, _SQL["version"])[0])


def migrate(conn: Connection[Any], target: int | None = None, dry_run: bool = False) -> list[Step]:
    """Bring the schema to `target` (default: the latest version), and return the steps that were taken.

    The connection must not be in a transaction. With `dry_run` the steps are returned and none is taken. Two
    processes may do this at once: one of them waits, and then finds nothing left to do. Going down deletes
    what the schema holds.

    A schema that is newer, and that this durable can work with, is left as it is.

    Raises ConfigError for a target that does not exist, SchemaMismatch when the schema is too new, or newer and
    a target was given: the way down from it only its own version of durable knows.
    """
    if target is not None and not 0 <= target <= latest():
        raise ConfigError(f"there is no schema version {target}: this durable knows 0 to {latest()}")
    if dry_run:
        return _plan(schema_version(conn), target)
    taken: list[Step] = []
    while step := _take_one_step(conn, target):
        taken.append(step)
    return taken


def check_schema(conn: Connection[Any]) -> SchemaVersion:
    """Raise SchemaMismatch, one line that says what to do, unless this durable can work with the schema."""
    return _judged(schema_version(conn))


async def check_schema_async(conn: AsyncConnection[Any]) -> None:
    """`check_schema` for an asyncio connection."""
    cursor = AsyncCursor(conn, row_factory=tuple_row)
    version = SchemaVersion()
    if _table_exists(await (await cursor.execute(_SQL["exists"])).fetchall()):
        version = SchemaVersion(*(await (await cursor.execute(_SQL["version"])).fetchall())[0])
    _judged(version)


def _plan(version: SchemaVersion, target: int | None) -> list[Step]:
    """The steps from one version to another."""
    current = version.current
    if current > latest():
        if version.too_new or target is not None:
            raise _too_new(current)
        return []
    goal = latest() if target is None else target
    if goal >= current:
        return [Step(one, upwards=True) for one in migrations()[current:goal]]
    return [Step(one, upwards=False) for one in reversed(migrations()[goal:current])]


def _table_exists(rows: Sequence[Sequence[Any]]) -> bool:
    """Raises SchemaMismatch when the schema is there and is not ours."""
    schema, table = rows[0]
    if schema and not table:
        raise SchemaMismatch(
            "the database has a schema named durable that `durable migrate` did not make: use another database"
        )
    return bool(table)


def _judged(version: SchemaVersion) -> SchemaVersion:
    if version.too_new:
        raise _too_new(version.current)
    if version.current == 0:
        raise SchemaMismatch("the database has no durable schema yet: run `durable migrate`")
    if version.current < latest():
        raise SchemaMismatch(
            f"the database schema has version {version.current} and this durable needs {latest()}:"
            " run `durable migrate`"
        )
    return version


def _too_new(current: int) -> SchemaMismatch:
    return SchemaMismatch(
        f"the database schema has version {current} and this durable knows only {latest()}: upgrade durable"
    )


def _take_one_step(conn: Connection[Any], target: int | None) -> Step | None:
    """The version is read again under the lock, since another process may have been faster."""
    with conn.transaction():
        conn.execute(_SQL["lock"])
        steps = _plan(schema_version(conn), target)
        if steps:
            _apply(conn, steps[0])
        return steps[0] if steps else None


def _apply(conn: Connection[Any], step: Step) -> None:
    one = step.migration
    version = {"version": one.version}
    if step.upwards:
        conn.execute(one.up)
        conn.execute(_SQL["create_table"])
        conn.execute(_SQL["complete_table"])
        conn.execute(_SQL["record"], {**version, "name": one.name, "works_from": one.works_from})
    else:
        conn.execute(one.down)
        # The first migration takes the whole schema back, this table included.
        if _table_exists(_fetch(conn, _SQL["exists"])):
            conn.execute(_SQL["forget"], version)


def _fetch(conn: Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return Cursor(conn, row_factory=tuple_row).execute(query).fetchall()
