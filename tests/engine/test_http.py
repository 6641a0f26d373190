"""HTTP from a real workflow through the real service, and what becomes of a request when its worker dies."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import threading
import time
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.fetching import LOOPBACK, fetching
from tests.net.conftest import Serve
from tests.net.servers import after, response, saying

LABELS = ["get", "wasi:io/streams.output-stream.write"]


def fetched(database: Database, url: str, *, timeout: float = 30.0) -> str:
    """What use-http printed about a GET of this URL."""
    task = database.launch("use-http", {"url": url})
    assert database.wait_for_end(task, timeout) == "complete", database.failure(task)
    assert database.labels(task) == LABELS
    return database.log(task).strip()


def test_a_workflow_gets_its_response(database: Database, start_service: StartService, serve: Serve) -> None:
    server = serve(saying(response(b"hello")))
    start_service(workers=1, **LOOPBACK)
    assert fetched(database, server.url("/path?query")) == "200, 5 bytes"
    assert [(request.method, request.path) for request in server.requests] == [("GET", "/path?query")]
    assert [request.values("idempotency-key") for request in server.requests] == [[]]


def test_what_was_answered_once_is_not_asked_again(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(saying(response(b"hello")))
    start_service(workers=1, **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    assert database.wait_for_end(task) == "complete"
    database.query("DELETE FROM durable.event WHERE task_id = %s AND index > 0", task)
    database.query("DELETE FROM durable.log WHERE task_id = %s", task)
    database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", task)
    assert database.wait_for_end(task) == "complete"
    assert database.log(task) == "200, 5 bytes\n"
    assert len(server.requests) == 1


def test_nothing_inside_is_reached_by_default(database: Database, start_service: StartService, serve: Serve) -> None:
    server = serve(saying(response(b"secret")))
    service = start_service(workers=1)
    said = fetched(database, server.url().replace("http://", "http://me:s3cr3t@"))
    assert said == (
        f"egress to 127.0.0.1 port {server.port} is refused: 127.0.0.1 is a loopback address (127.0.0.0/8), "
        "and egress_allow does not name it"
    )
    assert "metadata" in fetched(database, "http://0xa9fea9fe/latest/meta-data/")
    assert server.connections == 0
    assert "s3cr3t" not in service.log


def test_the_operators_rules_come_with_the_configuration(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    allowed, denied = serve(saying(response(b"hello"))), serve(saying(response(b"hello")))
    start_service(workers=1, egress_allow=f"127.0.0.0/8:{allowed.port}, 10.0.0.0/8", egress_deny="*, *.evil.example")
    assert fetched(database, allowed.url()) == "200, 5 bytes"
    assert fetched(database, denied.url()) == f"egress to 127.0.0.1 port {denied.port} is refused: egress_deny has *"
    assert "egress_deny has *" in fetched(database, "http://93.184.216.34/")
    assert denied.connections == 0


def test_outside_a_transaction_a_request_fails_the_task(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(saying(response(b"hello")))
    start_service(workers=1, **LOOPBACK)
    task = database.launch("use-http", {"url": server.url(), "outside": True})
    assert database.wait_for_end(task) == "failed"
    assert "an HTTP request can only be sent within a transaction" in database.failure(task)
    assert server.requests == []


def test_errors_are_answers_and_the_worker_lives(database: Database, start_service: StartService, serve: Serve) -> None:
    service = start_service(workers=1, max_http_timeout="0.5s", max_http_body="1000", **LOOPBACK)
    before = service.pids()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server = serve(saying(response(b"", length=5)))
    assert fetched(database, server.url()) == f"{server.url()[:-1]}: no complete response within 0.5 s"
    assert fetched(database, nobody) == f"no connection to {nobody[:-1]}: Connection refused"
    assert "is larger than max_http_body (1000 bytes)" in fetched(database, serve(saying(response(bytes(1001)))).url())
    assert fetched(database, serve(saying(response(bytes(1000)))).url()) == "200, 1000 bytes"
    assert fetched(database, "no url") == "the URL is not absolute: it begins with http:// or https://"
    assert "does not begin with an HTTP status line" in fetched(database, serve(saying(b"nonsense\r\n\r\n")).url())
    assert service.pids() == before


def test_headers_full_of_blanks_do_not_stop_a_worker(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(saying(response(b"hello", headers=[("X", "a" + " " * 60_000 + "b")] * 4)))
    service = start_service(workers=1, **LOOPBACK)
    workers = service.pids()
    assert fetched(database, server.url()) == "200, 5 bytes"
    assert (service.pids(), len(server.requests)) == (workers, 1)


def test_the_deprecated_fetch_is_still_served(
    database: Database, start_service: StartService, serve: Serve, tmp_path: Path
) -> None:
    server = serve(saying(response(b"", 201)))
    start_service(workers=1, **LOOPBACK)
    program = database.program(fetching(server.url("/old"), tmp_path, status=201))
    task = database.value("INSERT INTO durable.task (name, wasm) VALUES ('old', %s) RETURNING id", program)
    assert database.wait_for_end(task) == "complete", database.failure(task)
    assert [event[1:] for event in database.events(task)] == [("old", True)]
    [request] = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/old", b"body")
    assert request.values("x-own") == [b"1", b"1"]


# -- at least once ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("point", ["event.added:1", "append.before:1"])
def test_a_crash_between_the_response_and_its_commit_sends_the_request_again(
    database: Database, start_service: StartService, serve: Serve, tmp_path: Path, point: str
) -> None:
    server = serve(saying(response(b"first"), response(b"the second")))
    marker = tmp_path / "crashed"
    start_service(workers=1, failpoint=f"{point}:{marker}", http_idempotency_header="Idempotency-Key", **LOOPBACK)
    assert fetched(database, server.url()) == "200, 10 bytes"
    assert marker.exists()
    keys = [request.values("idempotency-key") for request in server.requests]
    assert len(keys) == 2
    assert keys[0] == keys[1] != []


def test_a_crash_after_the_commit_sends_nothing_again(
    database: Database, start_service: StartService, serve: Serve, tmp_path: Path
) -> None:
    server = serve(saying(response(b"first"), response(b"the second")))
    marker = tmp_path / "crashed"
    start_service(workers=1, failpoint=f"append.done:1:{marker}", **LOOPBACK)
    assert fetched(database, server.url()) == "200, 5 bytes"
    wait_until(marker.exists, "the crash, right after the commit that ended the task")
    assert len(server.requests) == 1


def test_a_worker_that_is_killed_during_a_request_leaves_it_to_the_next(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(after(1.5, response(b"hello")))
    service = start_service(workers=2, **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    wait_until(lambda: server.requests, "the request")
    pid = wait_until(lambda: service.worker_of(task), "a worker that runs the task")
    os.kill(pid, signal.SIGKILL)
    assert database.wait_for_end(task) == "complete"
    assert database.log(task) == "200, 5 bytes\n"
    assert len(server.requests) == 2
    database.assert_dense(task)


def test_a_stopped_worker_neither_sends_nor_records_once_its_task_went_on_elsewhere(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(after(1.0, response(b"hello")))
    service = start_service(workers=2, heartbeat_interval="0.3", heartbeat_timeout="1.5", **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    wait_until(lambda: server.requests, "the request")
    stopped = wait_until(lambda: service.worker_of(task), "a worker that runs the task")
    os.kill(stopped, signal.SIGSTOP)
    assert database.wait_for_end(task, 60) == "complete"
    before = (database.events(task), len(server.requests))
    os.kill(stopped, signal.SIGCONT)
    wait_until(
        lambda: stopped in {row[0] for row in database.query("SELECT pid FROM durable.worker")},
        "the stopped worker registers again",
    )
    assert (database.events(task), len(server.requests)) == before
    assert before[1] == 2


# -- many at once ----------------------------------------------------------------------------------------------------
def test_two_hundred_slow_requests_in_one_worker(database: Database, start_service: StartService, serve: Serve) -> None:
    server = serve(after(1.0, response(b"hello")))
    service = start_service(workers=1, heartbeat_interval="0.5", heartbeat_timeout="3", **LOOPBACK)
    [pid] = service.pids()
    started = time.monotonic()
    tasks = [database.launch("use-http", {"url": server.url(f"/{number}")}) for number in range(200)]
    threads: list[int] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(0.1):
            threads.append(len(os.listdir(f"/proc/{pid}/task")))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for task in tasks:
            assert database.wait_for_end(task, 60) == "complete", database.failure(task)
    finally:
        watching.set()
        watcher.join()
    assert time.monotonic() - started < 30
    assert sorted(request.path for request in server.requests) == sorted(f"/{number}" for number in range(200))
    assert database.value("SELECT max(lease) FROM durable.task") == 1, "a lease was lost while requests ran"
    # 64 for requests, and a few of the process's own: the loop, wasmtime's compiler, the ticker.
    assert statistics.quantiles(threads, n=20)[-1] <= 64 + 16, threads
