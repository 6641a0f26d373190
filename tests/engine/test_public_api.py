"""Programs that use every item of the Rust crate compile, which the build shows, and do what its documentation says."""

from __future__ import annotations

import json
import socket

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database
from tests.engine.service import Service
from tests.net.servers import Received, response, serving


@pytest.mark.parametrize(
    ("end", "state", "last_words"),
    [
        ("return", "complete", "ok\n"),
        ("exit", "complete", "ok\n"),
        ("abort", "failed", "ok\nno more\n"),
        ("panic", "failed", "within a transaction"),
    ],
)
def test_the_core(database: Database, service: Service, end: str, state: str, last_words: str) -> None:
    task = database.launch("api-core", {"name": "of the core", "end": end}, task_name="of the core")
    assert database.wait_for_end(task) == state, database.log(task)
    assert "ok\n" in database.log(task)
    assert last_words in database.log(task)


def test_http(database: Database, start_service: StartService) -> None:
    def answer(request: Received, connection: socket.socket) -> bool:
        body = json.dumps({"method": request.method}).encode()
        head = request.method == "HEAD"
        connection.sendall(response(b"" if head else body, headers=[("x-method", request.method)], length=len(body)))
        return True

    with serving(answer) as server:
        start_service(workers=1, egress_allow="127.0.0.1")
        task = database.launch("api-http", {"url": server.url()})
        assert database.wait_for_end(task) == "complete", database.log(task)
    assert database.log(task) == "ok\n"


def test_sqlx_with_its_macros_and_types(database: Database, service: Service) -> None:
    database.query("CREATE SCHEMA app")
    task = database.launch("api-sqlx")
    assert database.wait_for_end(task) == "complete", database.log(task)
    assert database.log(task) == "ok\n"
