"""The transaction a guest has open: one event once it commits, nothing before."""

from __future__ import annotations

from dataclasses import dataclass

from durable.execution.database import DatabaseTransaction
from durable.journal.log_text import LogText
from durable.store.guest_faults import QueryFailed


@dataclass(slots=True)
class Transaction:
    """`log` is what the body printed so far; it gets the index of the event.

    `database` is there once the body of an `is_db` transaction has sent its first statement.
    """

    label: str
    is_db: bool
    log: LogText
    database: DatabaseTransaction | None = None
    failure: QueryFailed | None = None  # of the last statement, until it is fetched
    rows_left: int | None = None  # of the last statement, None for all
    requests: int = 0  # by HTTP, in the order in which the body sends them
    effects: int = 0  # of plugins, in the order in which the body has them
