"""A password of a database URL, of an HTTP URL, and an Authorization header appear nowhere that people look."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from durable.embedded import EmbeddedServer
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.fetching import fetching
from tests.engine.service import Service
from tests.metrics.scrapes import OPENMETRICS
from tests.net.servers import Received, response, saying, serving

DATABASE, HEADER, USER = "canary-database", "canary-header", "canary-user"
BASIC = b64encode(f"{USER}:{USER}".encode()).decode()
CANARIES = (DATABASE, HEADER, USER, BASIC)
COMMANDS = [
    ["list"], ["workers"], ["doctor"], ["show", "1"], ["events", "1"], ["logs", "1"], ["wait", "1"],
    ["program", "list"], ["migrate"], ["launch", "t", "no-such-program"], ["supervise", "--workers", "1"],
]  # fmt: skip


def with_password(url: str) -> str:
    """Trusted logins ignore a password."""
    return f"{url}&password={DATABASE}" if "?" in url else f"{url}?password={DATABASE}"


def durable(url: str, *arguments: str, cache_folder: Path) -> str:
    """What a command says in all."""
    environment = {**os.environ, "DURABLE_DATABASE_URL": url, "DURABLE_CACHE_FOLDER": str(cache_folder)}
    done = subprocess.run(
        [sys.executable, "-m", "durable", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    return f"{done.args} {done.returncode}\n{done.stdout}{done.stderr}"


def assert_clean(text: str, where: str) -> None:
    for canary in CANARIES:
        assert canary not in text, f"{canary} is in {where}: …{text[max(text.find(canary) - 300, 0) :][:600]}"


def command_lines() -> str:
    def lines() -> Iterator[str]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue

    return "\n".join(lines())


def everything_stored(database: Database) -> str:
    """All rows of the schema but the programs, in which the author wrote the secret."""
    tables = [row[0] for row in database.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'durable' AND table_name <> 'wasm'"
    )]  # fmt: skip
    rows = [database.query(f"SELECT t::text FROM durable.{table} AS t") for table in tables]
    return repr(rows)


@contextmanager
def out_of_reach(database: Database, server: EmbeddedServer) -> Iterator[None]:
    """Nobody gets into this database, and whoever was in it is thrown out."""
    name = str(database.value("SELECT current_database()"))
    setting = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(setting.format(sql.Identifier(name), sql.Literal(False)))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(setting.format(sql.Identifier(name), sql.Literal(True)))


def exporter_of(service: Service) -> str:
    return wait_until(lambda: re.search(r"served at (http://\S+)/metrics", service.log), "a port")[1]


def everything_served(exporter: str) -> str:
    """All pages."""
    pages = [page(f"{exporter}/{path}") for path in ("metrics", "healthz", "readyz", "", "no-such-page")]
    return "\n".join([*pages, page(f"{exporter}/metrics", OPENMETRICS)])


def page(url: str, accept: str = "text/plain") -> str:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"accept": accept}), timeout=10) as answer:
            return f"{answer.headers}{answer.read().decode()}"
    except urllib.error.HTTPError as error:
        return f"{error} {error.headers}{error.read().decode()}"


def asking_for_a_user(request: Received, connection: socket.socket) -> bool:
    known = request.values("authorization") == [f"Basic {BASIC}".encode()]
    connection.sendall(response(b"yes") if known else response(b"no", status=401))
    return True


def requests_that_fail(database: Database, folder: Path, port: int) -> list[int]:
    """Two that are answered, and one for each way in which a request goes wrong."""
    urls = [
        f"http://127.0.0.1:{port}/", f"http://{USER}:{USER}@127.0.0.1:{port}/", f"http://{USER}:{USER}@127.0.0.1:1/",
        f"http://{USER}:{USER}@10.0.0.1/", f"http://{USER}:{USER}@no-such-host.invalid/",
    ]  # fmt: skip
    tasks = []
    for number, url in enumerate(urls):
        (folder / str(number)).mkdir()
        label = f"durable::http::send(POST {url})"  # as the Rust crates have it
        header = "x-secret" if USER in url else "authorization"
        component = fetching(url, folder / str(number), header=(header, HEADER), label=label)
        program = database.program(component)
        tasks.append(database.value("INSERT INTO durable.task (name, wasm) VALUES ('t', %s) RETURNING id", program))
    return tasks


def test_no_secret_is_told(
    database: Database, server: EmbeddedServer, start_service: StartService, cache_folder: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    plain = database.url
    monkeypatch.setattr(database, "url", with_password(plain))
    with serving(asking_for_a_user) as receiver:
        service: Service = start_service(
            workers=1, log_level="debug", egress_allow="127.0.0.1", metrics_addr="127.0.0.1:0"
        )
        for task in requests_that_fail(database, tmp_path, receiver.port):
            database.wait_for_end(task)
        sent = {value for request in receiver.requests for value in request.values("authorization")}
        assert sent == {HEADER.encode(), f"Basic {BASIC}".encode()}
        assert f"durable::http::send(POST http://127.0.0.1:{receiver.port}/)" in everything_stored(database)
        assert_clean(command_lines(), "the process list")
    exporter = exporter_of(service)
    assert 'durable_http_requests_total{outcome="refused"} 1' in page(f"{exporter}/metrics")
    assert_clean(everything_served(exporter), "what the exporter serves")
    for command in COMMANDS[:-1]:
        assert_clean(durable(with_password(plain), *command, cache_folder=cache_folder), f"the output of {command}")
    assert_clean(everything_stored(database), "the database")
    with out_of_reach(database, server):
        wait_until(lambda: "503" in page(f"{exporter}/readyz"), "the end of readiness")
        assert_clean(everything_served(exporter), "what the exporter serves without a database")
    wait_until(lambda: "503" not in page(f"{exporter}/readyz"), "readiness")
    service.stop()
    assert "exporter" in service.log
    assert_clean(service.log, "the log of the service")


def test_the_label_of_a_request_has_no_user_and_journals_in_which_it_has_one_are_replayed(
    database: Database, start_service: StartService
) -> None:
    with serving(saying(response(b"hello"))) as server:
        start_service(workers=1, egress_allow="127.0.0.1")
        shown = server.url("/path@home")
        url = shown.replace("//", f"//{USER}:{USER}@")
        task = database.launch("http-echo", {"url": url})
        assert database.wait_for_end(task) == "complete", database.failure(task)
        assert database.labels(task)[0] == f"durable::http::send(GET {shown})"
        as_given = f"durable::http::send(GET {url})"  # as others that speak the contract record it
        database.query("UPDATE durable.event SET label = %s WHERE task_id = %s AND index = 0", as_given, task)
        database.query("DELETE FROM durable.event WHERE task_id = %s AND index > 0", task)
        database.query("DELETE FROM durable.log WHERE task_id = %s", task)
        database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", task)
        assert database.wait_for_end(task) == "complete", database.failure(task)
        assert database.labels(task) == [as_given, "wasi:io/streams.output-stream.write"]
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("program", "url", "said"),
    [
        ("http-steps", f"http://{USER}:{USER}@127.0.0.1:1/a@b", "cannot connect (http://127.0.0.1:1/a@b)"),
        ("http-steps", f"http://{USER}:{USER}@127.0.0.1:port/", "invalid port number: http://127.0.0.1:port/"),
        ("api-http", f"http://{USER}:{USER}@127.0.0.1:1/", 'url: Some("http://127.0.0.1:1/")'),
    ],
    ids=["abort", "no URL", "unwrap"],
)
def test_a_workflow_that_fails_with_the_error_of_a_request_tells_no_password(
    database: Database, start_service: StartService, program: str, url: str, said: str
) -> None:
    start_service(workers=1, egress_allow="127.0.0.1")
    task = database.launch(program, {"url": url, "count": 1})
    assert database.wait_for_end(task) == "failed"
    log = database.log(task)
    assert said in log
    assert_clean(log, "the log")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{DATABASE}@127.0.0.1:1/nothing",
        f"postgresql://me:{DATABASE}@no-such-host.invalid/nothing",
        f"postgresql://me:{DATABASE}@127.0.0.1:port/nothing",
        f"postgresql://me:{DATABASE}@127.0.0.1:1/nothing?no_such_setting=1",
        f"host=127.0.0.1 port=1 password={DATABASE} dbname",
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, cache_folder: Path) -> None:
    for command in (["list"], ["doctor"], ["supervise", "--workers", "1"], ["migrate"]):
        said = durable(url, *command, cache_folder=cache_folder)
        assert " 0\n" not in said.splitlines()[0], said
        assert_clean(said, f"the output of {command}")


def test_a_login_that_is_refused_is_told_without_its_password(database: Database, cache_folder: Path) -> None:
    nobody = with_password(database.url) + "&user=nobody_here"
    for command in (["list"], ["doctor"], ["supervise", "--workers", "1"], ["migrate"]):
        assert_clean(durable(nobody, *command, cache_folder=cache_folder), f"the output of {command}")
