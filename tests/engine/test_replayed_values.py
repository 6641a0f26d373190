"""What a transaction returned is the same on every run, although PostgreSQL writes JSON in its own way."""

from __future__ import annotations

from tests.engine.conftest import StartService
from tests.engine.database import Database


def test_a_replay_sees_the_values_that_the_first_run_saw(database: Database, start_service: StartService) -> None:
    start_service(workers=1, suspend_timeout="0.2")
    task = database.launch("json-values", 1)
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 2, "it was not run again"
    first, replayed = database.log(task).removesuffix("\n").split("\n")
    pairs = zip(first.split(","), replayed.split(","), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
