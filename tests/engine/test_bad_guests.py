"""A workflow that misbehaves ends with a clear reason; its worker lives and everybody else goes on."""

from __future__ import annotations

import re
from pathlib import Path

from tests.engine.conftest import StartService
from tests.engine.database import Database, workflow
from tests.engine.service import Service

# workflow, data, what its failure says
BAD_GUESTS = [
    ("trap", None, "unreachable"),
    ("panic", None, "unreachable"),
    ("exit-code", {"code": 3}, "exited with status"),
    ("abort", None, "exited with status"),
    ("spin", None, "CPU time"),
    ("alloc", None, "unreachable"),
    ("recurse", None, "call stack exhausted"),
    ("print-much", {"bytes": 2**30}, "max_task_log_bytes"),
    ("nested-transaction", None, "within transaction"),
    ("exit-without-enter", None, "no transaction is open"),
    ("bad-json-exit", None, "not valid JSON"),
    ("notify-in-transaction", None, "within a transaction"),
    ("big-buffer", None, "max_returned_buffer_len"),
    ("use-sql", {"sql": "SELECT 1", "outside": True}, "within a transaction"),
    ("use-sql", {"sql": "COMMIT"}, "ended the database transaction itself"),
]


def test_each_fails_with_its_reason_and_the_worker_lives(database: Database, start_service: StartService) -> None:
    service = start_service(workers=1, guest_cpu_limit="1", max_task_log_bytes="2MiB", guest_memory_limit="64MiB")
    before = service.pids()
    tasks = [(name, reason, database.launch(name, data)) for name, data, reason in BAD_GUESTS]
    healthy = [database.launch("ten-events") for _ in range(20)]
    for name, reason, task in tasks:
        assert database.wait_for_end(task, 60) == "failed", name
        assert reason in database.failure(task), f"{name}: {database.failure(task)}"
    for task in healthy:
        assert database.wait_for_end(task) == "complete"
    assert service.pids() == before, service.log
    assert database.value("SELECT max(lease) FROM durable.task") == 1, "something was run twice"


def test_a_panic_says_where_and_why(database: Database, service: Service) -> None:
    task = database.launch("panic", task_name="my task")
    assert database.wait_for_end(task) == "failed"
    assert "task 'my task' panicked at " in database.log(task)
    assert "boom" in database.log(task)
    where_and_why, trap, *_ = database.failure(task).splitlines()
    assert re.fullmatch(r"task 'my task' panicked at src/bin/panic\.rs:\d+:\d+: boom", where_and_why)
    assert "unreachable" in trap


def test_a_core_module_is_told_from_a_component(database: Database, service: Service) -> None:
    task = database.launch("core-module")
    assert database.wait_for_end(task) == "failed"
    assert "expected a WASM component but got a WASM module instead" in database.failure(task)


def test_bytes_that_are_no_wasm_fail_their_task(database: Database, service: Service, tmp_path: Path) -> None:
    path = tmp_path / "nonsense.wasm"
    path.write_bytes(b"this is no wasm")
    task = database.value(
        "INSERT INTO durable.task (name, wasm) VALUES ('nonsense', %s) RETURNING id", database.program(path)
    )
    assert database.wait_for_end(task) == "failed"
    assert "not a WebAssembly component" in database.failure(task)


def test_text_printed_in_a_transaction_is_cut_with_a_marker(database: Database, start_service: StartService) -> None:
    start_service(workers=1, max_log_bytes_per_transaction="1000")
    task = database.launch("print-in-transaction", {"bytes": 5000})
    assert database.wait_for_end(task) == "complete"
    assert "bytes of log text are missing here" in database.log(task)
    assert len(database.log(task)) < 1200


def test_a_changed_program_is_quarantined_and_its_journal_left_alone(
    database: Database, start_service: StartService
) -> None:

    start_service(workers=1, suspend_timeout="0.1")
    task = database.launch("diverge-a")
    database.wait_for_state(task, "suspended")
    before = database.events(task)
    database.query("UPDATE durable.task SET wasm = %s WHERE id = %s", database.program(workflow("diverge-b")), task)
    database.notify(task, "go")
    assert database.wait_for_end(task) == "quarantined"
    assert database.failure(task) == (
        'workflow execution is non-deterministic: stored event at index 1 has label "b" but the workflow requested "x"'
    )
    assert database.events(task) == before
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 2, "it was tried again"


def test_a_journal_with_a_gap_is_quarantined(database: Database, start_service: StartService) -> None:
    start_service(workers=1)
    task = database.launch("ten-events")
    assert database.wait_for_end(task) == "complete"
    database.query("DELETE FROM durable.event WHERE task_id = %s AND index = 4", task)
    database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", task)
    assert database.wait_for_end(task) == "quarantined"
    assert "no event at index 4" in database.failure(task)


def test_wasi_calls_that_are_refused_are_refused_politely(database: Database, service: Service) -> None:
    task = database.launch("wasi-tour")
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert "args=0 vars=0 stdin=0 file=true socket=true map=2 random=true\n" in database.log(task)


def test_clocks_are_consistent(database: Database, service: Service) -> None:
    task = database.launch("clocks")
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.log(task) == "clocks are fine\n"


def test_notify_tells_its_errors_apart(database: Database, service: Service) -> None:
    task = database.launch("notify-errors")
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.log(task).splitlines() == [
        "unknown: task-not-found",
        "negative: task-not-found",
        "not json: other",
        "nul: other",
        "big: other",
    ]
