"""`durable:core/sql`: statements on the workflow's own database, exactly once together with their event."""

from __future__ import annotations

import re
from typing import Any

from durable.execution.run import Run
from durable.host import sql_values
from durable.host.sql_values import MAX_TYPE_NAME, TypeInfo, Value, check_owner, new_value
from durable.journal.faults import JournalUnavailable
from durable.store.guest_faults import QueryFailed, TookTooLong, TransactionLost
from durable.store.guest_rows import Row
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Case, Err, Ok

#: `record options {limit: u8, persistent: bool}`; limit 0 executes, 1 takes at most one row, more takes all.
Options = tuple[int, bool]

_KINDS = {
    "23505": "unique-violation",
    "23503": "foreign-key-violation",
    "23502": "not-null-violation",
    "23514": "check-violation",
}
#: A type's name as SQL writes it, with a schema and brackets for an array.
_TYPE_NAME = re.compile(r'(?:(\w+|"[^"]+")\.)?(\w+|"[^"]+")\s*(\[\])?')
_STANDARD_NAMES = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "int": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8", "character varying": "varchar", "character": "bpchar",
    "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
}  # fmt: skip


async def query(run: Run, sql: str, parameters: list[Value], options: Options) -> None:
    """Start a statement. An error of the database is kept for `fetch`."""
    for value in parameters:
        check_owner(run, value)
    database = await run.open_database()
    transaction = run.transaction
    assert transaction is not None
    transaction.failure = None
    transaction.rows_left = options[0] if options[0] < 2 else None
    try:
        await database.query(sql, [(value.type.oid, value.data) for value in parameters], options[0] > 0)
    except QueryFailed as failure:
        transaction.failure = failure
    except TransactionLost as lost:
        raise _blame(run, lost) from None


async def fetch(run: Run) -> Ok | Err | None:
    """The next row, then the number of rows, then nothing; an error of the database stands for the rest."""
    database = await run.open_database()
    transaction = run.transaction
    assert transaction is not None
    if transaction.failure is not None:
        failure, transaction.failure = transaction.failure, None
        return Err(_error_of(failure))
    try:
        fetched = await database.fetch()
        while isinstance(fetched, Row) and transaction.rows_left == 0:
            fetched = await database.fetch()
    except QueryFailed as failure:
        return Err(_error_of(failure))
    except TransactionLost as lost:
        raise _blame(run, lost) from None
    if isinstance(fetched, Row):
        if transaction.rows_left is not None:
            transaction.rows_left -= 1
        return Ok(Case("row", ([_column(run, *column) for column in fetched.columns],)))
    return None if fetched is None else Ok(Case("count", fetched))


async def type_with_name(run: Run, name: str) -> Ok | Err:
    """A type of the database by its name; what the database does not have is `err`."""
    database = await run.open_database()
    if len(name) > MAX_TYPE_NAME:
        return Err(f'type "{name[:MAX_TYPE_NAME]}…" does not exist')
    found = _TYPE_NAME.fullmatch(_STANDARD_NAMES.get(name.strip().lower(), name.strip()))
    ty = None
    if found:
        schema, base, brackets = found.groups()
        try:
            ty = await database.type_named(schema and _folded(schema), _folded(base), brackets is not None)
        except QueryFailed as failure:
            return Err(failure.message)
        except TransactionLost as lost:
            raise _blame(run, lost) from None
    return Err(f'type "{name}" does not exist') if ty is None else Ok(TypeInfo(ty, run.transaction))


def _blame(run: Run, lost: TransactionLost) -> Exception:
    """Too late in a worker that could not even renew its lease: it stood still, or was cut off, and the statement is
    not to blame.
    """
    if isinstance(lost, TookTooLong) and not run.lease_is_trusted():
        return JournalUnavailable(str(lost))
    label = "" if run.transaction is None else f"transaction {run.transaction.label!r}: "
    return GuestTrap(f"{label}{lost}")


def _folded(name: str) -> str:
    return name[1:-1] if name.startswith('"') else name.lower()


def _column(run: Run, name: str, ty: Any, data: bytes | None) -> tuple[str, Value]:
    return name, new_value(run, ty, data)


def _error_of(failure: QueryFailed) -> Case:
    kind = _KINDS.get(failure.code or "", "other")
    return Case("database", (failure.message, kind, failure.code, failure.constraint, failure.table))


FUNCTIONS = {
    "durable:core/sql": {
        **sql_values.FUNCTIONS,
        "[static]type-info.with-name": type_with_name,
        "query": query,
        "fetch": fetch,
    }
}
