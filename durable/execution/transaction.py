"""The transaction a guest has open: one event once it commits, nothing before."""

from __future__ import annotations

from dataclasses import dataclass

from durable.journal.log_text import LogText


@dataclass(slots=True)
class Transaction:
    """`log` is what the body printed so far; it gets the index of the event."""

    label: str
    is_db: bool
    log: LogText
