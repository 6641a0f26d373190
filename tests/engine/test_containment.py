"""What a hostile program cannot do to the worker it runs in, seen from outside."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.test_timers import resident_bytes
from tests.proof import figure
from tests.wasm.bombs import bomb

TASKS = figure(600, 20_000)
WAVE = 200


def launch_bytes(database: Database, wasm: bytes, folder: Path) -> int:
    path = folder / "program.wasm"
    path.write_bytes(wasm)
    return int(
        database.value("INSERT INTO durable.task (name, wasm) VALUES ('bomb', %s) RETURNING id", database.program(path))
    )


def assert_heartbeat_moves(database: Database, times: int) -> None:
    """So often, and never a long time apart."""
    for _ in range(times):
        seen = heartbeat(database)
        wait_until(partial(_is_later, database, seen), "a heartbeat", 10)


def heartbeat(database: Database) -> float:
    return float(database.value("SELECT extract(epoch FROM max(heartbeat_at)) FROM durable.worker"))


def _is_later(database: Database, seen: float) -> bool:
    return heartbeat(database) > seen


def completed(database: Database, count: int) -> bool:
    return bool(database.value("SELECT count(*) >= %s FROM durable.task WHERE state = 'complete'", count))


def test_a_program_that_is_made_to_be_compiled_for_ever_fails_and_holds_nobody_up(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    # On a quick machine it would otherwise meet the limit of memory first.
    limits = {"compile_timeout": "4", "compile_memory_limit": "8GiB"}
    service = start_service(workers=1, heartbeat_interval="0.3", **limits)
    before = service.pids()
    task = launch_bytes(database, bomb(12_000), tmp_path)
    database.wait_for_state(task, "active")
    assert_heartbeat_moves(database, 4)
    assert database.state(task) == "active", "this is to be seen while it is compiled"
    assert database.wait_for_end(task, 60) == "failed"
    assert "longer than compile_timeout (4 s)" in database.failure(task)
    assert database.wait_for_end(database.launch("noop")) == "complete"
    assert service.pids() == before, service.log


def test_two_spinning_guests_hold_up_neither_others_nor_the_heartbeat(
    database: Database, start_service: StartService
) -> None:
    start_service(workers=1, heartbeat_interval="0.3", guest_cpu_limit="600")
    assert database.wait_for_end(database.launch("ten-events")) == "complete"  # compiled by now
    spinners = [database.launch("spin") for _ in range(2)]
    for spinner in spinners:
        database.wait_for_state(spinner, "active")
    assert_heartbeat_moves(database, 5)
    started = time.monotonic()
    assert database.wait_for_end(database.launch("ten-events")) == "complete"
    print(f"a healthy task took {time.monotonic() - started:.2f} s beside two spinning ones")
    assert {database.state(spinner) for spinner in spinners} == {"active"}


@pytest.mark.proof(minutes=1)
@pytest.mark.timeout(1800)
def test_memory_stays_flat_over_many_tasks(database: Database, start_service: StartService) -> None:
    service = start_service(workers=1)
    program = database.value("SELECT wasm FROM durable.task WHERE id = %s", database.launch("ten-events"))
    sizes = []
    for done in range(0, TASKS, WAVE):
        database.query(
            "INSERT INTO durable.task (name, wasm) SELECT 't', %s FROM generate_series(1, %s)", program, WAVE
        )
        wait_until(partial(completed, database, done + WAVE + 1), "the end of a wave", 120)
        sizes.append(resident_bytes(service.pids()[0]))
    growth = sizes[-1] - sizes[len(sizes) // 3]
    print(f"{TASKS} tasks, RSS {sizes[0] >> 20} to {sizes[-1] >> 20} MiB, grown by {growth / 2**20:.1f} MiB")
    assert growth < 16 << 20
