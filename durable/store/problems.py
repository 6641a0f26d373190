"""What an error of the database means for those who wait for it. The only place that reads SQLSTATEs."""

from __future__ import annotations

import psycopg
from psycopg import errors

from durable.journal.faults import JournalUnavailable, Unstorable

#: The statement was rolled back because of others; the same statement may be sent again at once.
RETRYABLE = (errors.DeadlockDetected, errors.SerializationFailure)

_UNSTORABLE = (psycopg.DataError, psycopg.IntegrityError, errors.ProgramLimitExceeded, errors.StatementTooComplex)


def describe(error: psycopg.Error) -> str:
    """The first line of an error, which never holds a password."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def journal_fault(error: psycopg.Error) -> JournalUnavailable | Unstorable:
    """Only values that the database refuses are the task's fault; everything else is the world's."""
    if isinstance(error, _UNSTORABLE):
        return Unstorable(f"the database refuses what the workflow recorded: {describe(error)}")
    return JournalUnavailable(describe(error))
