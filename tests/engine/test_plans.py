"""The statements of workers and clients find their rows by indexes, whichever plan PostgreSQL chooses."""

from __future__ import annotations

from benchmarks.plans import problems
from tests.engine.database import Database


def test_no_hot_statement_scans_a_large_table_or_reads_more_than_its_rows(database: Database) -> None:
    """At 30,000 finished tasks; `make plans` asks the same at ten million."""
    assert list(problems(database, 30_000, short=True)) == []
