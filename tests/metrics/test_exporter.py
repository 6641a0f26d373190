"""The exporter process: what it answers, to whom, and when it ends."""

from __future__ import annotations

import gzip
import select
import signal
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from durable.address import Address
from tests.engine.database import Database, wait_until
from tests.metrics.exporter import Exporter, running_exporter
from tests.metrics.scrapes import OPENMETRICS, Scrape, assert_openmetrics, complaints, own_complaints, scrape
from tests.metrics.test_exposition import OF_WORKERS
from tests.metrics.test_shared_numbers import end, start_counting
from workers import exporter_database, exporter_http
from workers.exporter_database import COUNT_EVERY
from workers.exporter_http import MAX_REQUESTS, SLOWEST_CLIENT
from workers.link import Fleet

NOWHERE = "postgresql://127.0.0.1:1/none"
HEALTHY = exporter_http.Answer.plain(HTTPStatus.OK, "ok")
ALL_WELL = Fleet(up=(1, 1), restarts=(0, 3), slots=(1, 2), ready=True)

#: All of it: what workers count, and what the exporter adds.
EVERYTHING = OF_WORKERS | {
    "durable_build_info",
    "durable_tasks",
    "durable_task_oldest_ready_timestamp_seconds",
    "durable_task_launched_total",
    "durable_supervisor_worker_up",
    "durable_supervisor_worker_restarts_total",
    "durable_database_up",
    "durable_program_cache_disk_free_bytes",
    "durable_program_cache_disk_size_bytes",
}


@pytest.fixture
def exporter(tmp_path: Path, database: Database) -> Iterator[Exporter]:
    with running_exporter(tmp_path, database.url) as exporter:
        wait_until(lambda: scrape(exporter.url).has("durable_tasks", state="ready"), "a count")
        exporter.tell(ALL_WELL)
        wait_until(lambda: exporter.get("/readyz").status == 200, "readiness")
        yield exporter


def test_every_metric_has_help_and_type_and_promtool_has_no_complaints(exporter: Exporter) -> None:
    text = exporter.get("/metrics").text
    for name in EVERYTHING:
        assert f"# HELP {name} " in text
        assert f"# TYPE {name} " in text
    assert set(Scrape.of(text).families) == EVERYTHING
    assert complaints(text) == ""
    assert list(own_complaints(text)) == []


def test_prometheus_gets_the_form_and_the_compression_that_it_asks_for(exporter: Exporter) -> None:
    plain = exporter.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    modern = exporter.get("/metrics", Accept=OPENMETRICS, Accept_Encoding="gzip")
    assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert modern.headers["Content-Encoding"] == "gzip"
    text = gzip.decompress(modern.body).decode()
    assert text.endswith("# EOF\n")
    assert_openmetrics(text)


def test_the_database_is_counted_and_the_supervisor_believed(exporter: Exporter, database: Database) -> None:
    seen = scrape(exporter.url)
    assert seen.value("durable_tasks", state="ready") == 0
    assert seen.value("durable_database_up") == 1
    assert seen.value("durable_task_launched_total") == 0
    assert seen.value("durable_supervisor_worker_restarts_total", worker="2") == 3
    exporter.tell(Fleet(up=(1, 0, 1), restarts=(0, 4, 0), slots=(1, 2, 3), ready=False))
    wait_until(lambda: scrape(exporter.url).has("durable_supervisor_worker_up", worker="3"), "news")
    seen = scrape(exporter.url)
    assert [seen.value("durable_supervisor_worker_up", worker=slot) for slot in "123"] == [1, 0, 1]
    assert seen.value("durable_supervisor_worker_restarts_total", worker="2") == 4


def test_ready_means_that_all_workers_are_and_that_the_database_answers(exporter: Exporter) -> None:
    assert (exporter.get("/readyz").status, exporter.get("/readyz").text) == (200, "ready\n")
    exporter.tell(Fleet(up=(1, 0), restarts=(0, 3), slots=(1, 2), ready=False))
    wait_until(lambda: exporter.get("/readyz").status == 503, "news")
    assert exporter.get("/readyz").text == "the service is not ready: 1 of 2 workers are\n"
    assert exporter.get("/healthz").status == 200


def test_without_a_database_it_lives_is_not_ready_and_shows_what_needs_none(tmp_path: Path) -> None:
    with running_exporter(tmp_path, NOWHERE) as exporter:
        exporter.tell(ALL_WELL)
        wait_until(lambda: "does not answer" in exporter.get("/readyz").text, "a reason")
        answer = exporter.get("/readyz")
        assert answer.status == 503
        assert answer.text.startswith("the database does not answer: ")
        assert (exporter.get("/healthz").status, exporter.get("/healthz").text) == (200, "ok\n")
        seen = scrape(exporter.url)
        assert seen.value("durable_database_up") == 0
        assert not {"durable_tasks", "durable_task_launched_total"} & set(seen.families)
        assert complaints(seen.text) == ""
        wait_until(lambda: exporter.log.count("the database does not answer") == 1, "one line in the log")


def test_a_database_that_cannot_be_counted_is_told_and_is_no_reason_not_to_be_ready(
    tmp_path: Path, database: Database
) -> None:
    database.query("ALTER TABLE durable.task RENAME COLUMN ready_at TO something_else")
    with running_exporter(tmp_path, database.url) as exporter:
        exporter.tell(ALL_WELL)
        wait_until(lambda: "tasks cannot be counted: column" in exporter.log, "a warning")
        wait_until(lambda: exporter.get("/readyz").status == 200, "readiness")
        assert "durable_tasks" not in scrape(exporter.url).families


def test_a_scrape_does_not_wait_for_a_database_that_is_stuck(exporter: Exporter, database: Database) -> None:
    with psycopg.connect(database.url) as locking:
        locking.execute("LOCK TABLE durable.task")
        time.sleep(COUNT_EVERY)  # the next count waits for the lock
        for _ in range(5):
            assert scrape(exporter.url).has("durable_tasks", state="ready")


def test_other_paths_and_other_methods_are_refused_in_words(exporter: Exporter) -> None:
    assert exporter.get("/").status == 404
    assert exporter.get("/").text == "there are only /metrics, /healthz, /readyz\n"
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        refused = exporter.get("/metrics", method)
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")
    head = exporter.get("/metrics", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) > 1000
    assert exporter.get("/metrics?name=x").status == 200


def test_clients_that_say_nothing_keep_nobody_else_waiting(exporter: Exporter) -> None:
    with silent_clients(exporter, MAX_REQUESTS - 1):
        assert exporter.get("/healthz").status == 200


def test_one_past_the_bound_is_closed_at_once_and_the_places_come_free_again(exporter: Exporter) -> None:
    with silent_clients(exporter, MAX_REQUESTS + 3) as clients:
        wait_until(lambda: len(closed(clients)) == 3, "the bound", SLOWEST_CLIENT / 2)
        wait_until(lambda: len(closed(clients)) == len(clients), "the end of their time")
        assert exporter.get("/healthz").status == 200


def test_requests_for_which_there_is_no_thread_are_told_and_the_next_ones_answered(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def ask() -> bytes:
        with urllib.request.urlopen(f"http://{server.bound}/healthz", timeout=5) as answer:
            return bytes(answer.read())

    with exporter_http._Server(Address("127.0.0.1", 0), {"/healthz": lambda _: HEALTHY}) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            with monkeypatch.context() as short:
                short.setattr(threading.Thread, "start", refuse)
                for _ in range(MAX_REQUESTS + 1):
                    with pytest.raises((OSError, HTTPException)):
                        ask()
            assert ask() == b"ok\n"
        finally:
            server.shutdown()
            serving.join()
    assert caplog.text.count("a request is not answered: can't start new thread") == MAX_REQUESTS + 1


def test_whatever_keeps_it_from_the_database_is_told_and_it_looks_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    happens = iter([MemoryError("no more memory"), SystemExit()])

    def connect(url: str) -> None:
        raise next(happens)

    monkeypatch.setattr(exporter_database, "open_connection", connect)
    watch = exporter_database.DatabaseWatch(NOWHERE)
    with pytest.raises(SystemExit):
        watch.run()
    assert watch.problem == "the database cannot be asked: MemoryError: no more memory"
    assert watch.problem in caplog.text


@contextmanager
def silent_clients(exporter: Exporter, count: int) -> Iterator[list[socket.socket]]:
    address = urlsplit(exporter.url)
    with ExitStack() as open_ones:
        yield [
            open_ones.enter_context(socket.create_connection((address.hostname, address.port))) for _ in range(count)
        ]


def closed(clients: list[socket.socket]) -> list[socket.socket]:
    return select.select(clients, [], [], 0)[0]


def test_it_listens_on_loopback_only_also_with_ipv6(tmp_path: Path) -> None:
    with running_exporter(tmp_path, NOWHERE, "[::1]:0") as exporter:
        assert exporter.url.startswith("http://[::1]:")
        assert exporter.get("/healthz").status == 200
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", urlsplit(exporter.url).port or 0))


def test_a_port_that_is_taken_is_told_once_and_taken_when_it_is_free(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "{}:{}".format(*taken.getsockname())
        with running_exporter(tmp_path, NOWHERE, address) as exporter:
            line = f"cannot serve metrics at metrics_addr {address}: Address already in use; trying again"
            wait_until(lambda: line in exporter.log, "a warning")
            time.sleep(6)  # it tries again within five
            assert exporter.process.poll() is None
            taken.close()
            assert exporter.url == f"http://{address}"
            assert exporter.log.count("cannot serve metrics") == 1
            assert exporter.get("/healthz").status == 200


def test_it_ends_with_its_supervisor_when_it_is_told_to_and_by_sigterm(tmp_path: Path) -> None:
    with running_exporter(tmp_path, NOWHERE) as exporter:
        assert exporter.url
        assert exporter.drain() == 0
    with running_exporter(tmp_path, NOWHERE) as exporter:
        assert exporter.url
        assert exporter.abandon() == 0
    with running_exporter(tmp_path, NOWHERE) as exporter:
        assert exporter.url
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.process.wait(30) == 0


def test_a_new_exporter_shows_the_counts_that_the_old_one_did(tmp_path: Path) -> None:
    with running_exporter(tmp_path, NOWHERE) as exporter:
        end(start_counting(exporter.folder, "worker-1"))
        before = scrape(exporter.url)
        assert before.value("durable_events_appended_total") > 0
        exporter.process.kill()
        exporter.process.wait()
    with running_exporter(tmp_path, NOWHERE) as successor:
        assert scrape(successor.url).growing() == before.growing()
