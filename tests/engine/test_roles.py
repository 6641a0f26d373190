"""ops/roles.sql gives each kind of login what it needs, and no more."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from durable.client import Client
from tests.engine.conftest import StartService
from tests.engine.database import Database, workflow

ROLES = Path(__file__).parent.parent.parent / "ops" / "roles.sql"
LOGINS = ("worker", "client", "guest")


@pytest.fixture
def urls(database: Database, request: pytest.FixtureRequest) -> dict[str, str]:
    def drop() -> None:
        for name in LOGINS:
            for role in (f"test_{name}", f"durable_{name}"):
                database.query(f"DROP OWNED BY {role}")
                database.query(f"DROP ROLE {role}")

    database.query(ROLES.read_text())
    database.query(ROLES.read_text())  # again, as after an upgrade
    for name in LOGINS:
        database.query(f"CREATE ROLE test_{name} LOGIN IN ROLE durable_{name}")
    request.addfinalizer(drop)
    return {name: database.url.replace("//durable@", f"//test_{name}@") for name in LOGINS}


def test_a_task_of_a_client_runs_on_a_worker_and_writes_as_a_guest(
    database: Database, urls: dict[str, str], start_service: StartService
) -> None:
    database.query("CREATE TABLE public.result (x int)")
    database.query("GRANT INSERT ON public.result TO durable_guest")
    start_service(workers=1, database_url=urls["worker"], guest_database_url=urls["guest"], suspend_timeout="0.2")
    with Client(urls["client"]) as client:
        writing = client.launch("sql", workflow("use-sql"), {"sql": "INSERT INTO public.result VALUES (1)"})
        assert client.wait(writing, timeout=30).state == "complete"
        waiting = client.launch("waiting", workflow("notified"))
        database.wait_for_state(waiting, "suspended")
        client.notify(waiting, "task-exit")
        assert client.wait(waiting, timeout=30).state == "complete"
        assert client.workers()
    assert database.query("SELECT x FROM public.result") == [(1,)]


@pytest.mark.parametrize(
    ("login", "statement"),
    [
        ("guest", "SELECT * FROM durable.task"),
        ("guest", "SELECT secret FROM durable.worker"),
        ("guest", "DELETE FROM durable.guest_transaction"),
        ("client", "SELECT secret FROM durable.worker"),
        ("client", "DELETE FROM durable.task"),
        ("client", "INSERT INTO durable.event VALUES (1, 0, now(), 'x', '1')"),
        ("client", "SELECT durable.guest_begin(1, 0)"),
        ("worker", "DELETE FROM durable.migration"),
        ("worker", "DROP TABLE durable.task"),
    ],
)
def test_what_a_login_must_not_do_is_refused(urls: dict[str, str], login: str, statement: str) -> None:
    with psycopg.connect(urls[login]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)
