"""Tasks with large data, as other programs insert them: they cost themselves, and nobody else."""

from __future__ import annotations

from tests.engine.conftest import StartService
from tests.engine.database import Database

#: As text; what max_task_data_bytes = 64KiB lets through at a launch is never longer.
LONGEST = 2 * 64 * 1024 + 1024**2


def test_large_data_arrives_and_too_large_data_fails_its_task_alone(
    database: Database, start_service: StartService
) -> None:
    start_service(workers=1, max_task_data_bytes="64KiB", log_level="error")
    arrives = [
        database.launch("hello-world", "x" * (LONGEST - 2)),
        database.launch("collect", {"count": 0, "": "é" * 200_000}),
    ]
    fails = [database.launch("hello-world", "x" * (LONGEST - 1))]
    program = database.value("SELECT wasm FROM durable.task WHERE id = %s", fails[0])
    zeros = "[" + "1e131071," * 10 + "1]"  # a few bytes, until they are printed
    fails.append(
        database.value("INSERT INTO durable.task (name, wasm, data) VALUES ('t', %s, %s) RETURNING id", program, zeros)
    )
    small = [database.launch("hello-world") for _ in range(3)]
    for task in [*small, *arrives]:
        assert database.wait_for_end(task) == "complete", database.failure(task)
    for task in fails:
        assert database.wait_for_end(task) == "failed"
        assert "the data of the task is too large: max_task_data_bytes is 65536" in database.failure(task)
    assert database.value("SELECT max(lease) FROM durable.task") == 1
