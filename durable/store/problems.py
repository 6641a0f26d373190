"""What an error of the database means for those who wait for it. The only place that reads SQLSTATEs."""

from __future__ import annotations

import psycopg
from psycopg import errors

from durable.journal.faults import DatabaseImpaired, JournalUnavailable, Unstorable

#: The statement was rolled back because of others; the same statement may be sent again at once.
RETRYABLE = (errors.DeadlockDetected, errors.SerializationFailure)

_UNSTORABLE = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded, errors.StatementTooComplex)


def describe(error: psycopg.Error) -> str:
    """The first line of an error, which never holds a password."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def kind_of(error: Exception) -> str:
    """The kind of an error, for those who count: one of those of `durable.metrics.db_errors`."""
    state = (error.sqlstate if isinstance(error, psycopg.Error) else None) or ""
    if state in _KINDS:
        return _KINDS[state]
    if not state:  # libpq itself: no answer, or no way to the server
        return "connection" if isinstance(error, psycopg.OperationalError | OSError) else "other"
    return _KINDS.get(state[:2], "other")


# By SQLSTATE or its class, appendix A of PostgreSQL's manual.
_KINDS = {
    "08": "connection", "22": "data", "23": "data", "28": "privilege", "40": "conflict", "42501": "privilege",
    "53": "resources", "54": "data", "55": "lock", "55P03": "lock", "57": "shutdown", "57014": "timeout",
    "25P03": "timeout", "58": "internal", "XX": "internal",
}  # fmt: skip


def journal_fault(error: psycopg.Error) -> JournalUnavailable | Unstorable:
    """Only values that the database refuses are the task's fault; everything else is the world's."""
    if isinstance(error, _UNSTORABLE):
        return Unstorable(f"the database refuses what the workflow recorded: {describe(error)}")
    return unavailable(error)


def unavailable(error: psycopg.Error) -> JournalUnavailable:
    """The fault of a statement that says nothing about the task."""
    return impaired(error.sqlstate, describe(error)) or JournalUnavailable(describe(error))


def impaired(state: str | None, message: str) -> DatabaseImpaired | None:
    """The fault when an SQLSTATE says that it is the server's own, and lasts: its disk, its memory, its files."""
    return DatabaseImpaired(message) if (state or "")[:2] in _OF_THE_SERVER else None


# Insufficient resources (disk full, out of memory), system errors (input and output).
_OF_THE_SERVER = ("53", "58")


def is_worlds_fault(error: psycopg.Error) -> bool:
    """Whether the same statements may succeed when they are sent again: connection, locks, resources, shutdown."""
    return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
