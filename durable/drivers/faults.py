"""Errors of psycopg in words for the person who has to act. They end here, and are kept as the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from durable.database_url import redacted
from durable.errors import (
    ConfigError,
    DatabaseUnavailable,
    DurableError,
    InvalidTask,
    SchemaMismatch,
    TryAgain,
)
from durable.failed_login import no_socket_kept

_WHERE = "check that PostgreSQL runs and that the database URL is right (`durable doctor`, `durable config`)"

_TRANSIENT = (
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.TooManyConnections,
    pg.ForeignKeyViolation,  # a program is launched while it is being removed
)
#: The server is out of something, or its files cannot be read or written.
_IMPAIRED = (pg.InsufficientResources, pg.DiskFull, pg.OutOfMemory, pg.SystemError, pg.IoError)
_NO_SCHEMA = (
    pg.UndefinedTable,
    pg.InvalidSchemaName,
    pg.UndefinedColumn,
    pg.UndefinedFunction,
    pg.UndefinedObject,
)


@contextmanager
def translated() -> Iterator[None]:
    """Within it an error of psycopg becomes a DurableError."""
    try:
        yield
    except psycopg.Error as error:
        raise translate(error) from error


@contextmanager
def translated_connect() -> Iterator[None]:
    """`translated` for the making of a connection."""
    try:
        with no_socket_kept():
            yield
    except psycopg.ProgrammingError:
        # libpq quotes the piece that it cannot parse, and that may be a part of the password: no cause, no
        # detail.
        raise ConfigError("the database URL is not valid\nwrite postgresql://USER@HOST:PORT/DATABASE") from None
    except psycopg.Error as error:
        raise _cannot_connect(error) from error


def translate(error: psycopg.Error) -> DurableError:
    """What an error of a statement means for the caller."""
    match error:
        case PoolTimeout() | TooManyRequests():
            return DatabaseUnavailable(f"no database connection became free: {_in_one_line(error)}\n{_WHERE}")
        case PoolClosed():
            return DurableError("the client is closed")
        case pg.InsufficientPrivilege():
            return ConfigError(
                f"the database refuses: {_in_one_line(error)}\n`durable doctor` names missing privileges"
            )
        case pg.ReadOnlySqlTransaction():
            return DatabaseUnavailable("the database is read-only; it may be a standby\nuse the URL of the primary")
        case pg.DataError() | pg.ProgramLimitExceeded() | pg.StatementTooComplex():
            return InvalidTask(f"the database cannot store this: {_in_one_line(error)}")
    if isinstance(error, _NO_SCHEMA):
        return SchemaMismatch(f"the database schema does not fit: {_in_one_line(error)}\nrun `durable migrate`")
    if isinstance(error, _IMPAIRED):
        return TryAgain(
            f"the database server cannot do it: {_in_one_line(error)}\nlook at its disk and its memory, and try again"
        )
    if isinstance(error, _TRANSIENT):
        return TryAgain(f"the database cannot do it now: {_in_one_line(error)}\ntry again in a moment")
    if isinstance(error, psycopg.OperationalError):
        return DatabaseUnavailable(f"the database went away: {_in_one_line(error)}\n{_WHERE}")
    return DurableError(f"the database answered: {_in_one_line(error)}")


def _cannot_connect(error: psycopg.Error) -> DurableError:
    said = _in_one_line(error)
    if "too many clients" in said or "remaining connection slots" in said:
        return TryAgain(f"the database takes no more connections: {said}\ntry again, or raise max_connections")
    return DatabaseUnavailable(f"cannot connect to the database: {said}\n{_WHERE}")


def _in_one_line(error: psycopg.Error) -> str:
    text = error.diag.message_primary or str(error) or type(error).__name__
    lines = (" ".join(line.split()) for line in text.splitlines())
    # libpq asks "Is the server running …?" on a line of its own; `_WHERE` says it.
    return redacted("; ".join(line for line in lines if line and not line.startswith("Is the server running")))[:400]
