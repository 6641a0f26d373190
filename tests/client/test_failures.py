"""What a client says when the database does not do what it should."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from durable import AsyncClient, Client, DatabaseUnavailable, DurableError, SchemaMismatch
from durable.embedded import EmbeddedServer
from durable.errors import ConfigError, TryAgain
from tests.client.databases import Worker
from tests.engine.database import wait_until
from tests.impaired import SAYS, impaired

SECRET = "s3cr3t-canary"


def both(url: str, loop: Any) -> list[DurableError]:
    """What each client raises when it is asked for tasks."""

    async def ask() -> None:
        async with AsyncClient(url) as client:
            await client.tasks()

    raised = []
    with pytest.raises(DurableError) as error, Client(url) as client:
        client.tasks()
    raised.append(error.value)
    with pytest.raises(DurableError) as error:
        loop.run(ask())
    return [*raised, error.value]


def test_a_database_that_is_down_is_told_at_once_and_without_the_password(loop: Any) -> None:
    began = time.monotonic()
    for error in both(f"postgresql://user:{SECRET}@127.0.0.1:1/db", loop):
        assert isinstance(error, DatabaseUnavailable)
        assert "127.0.0.1" in str(error)
        assert "refused" in str(error)
        assert SECRET not in _everything(error)
        assert len(str(error).splitlines()) == 2
        assert "Is the server running" not in str(error), "what to do is said in the second line"
    assert time.monotonic() - began < 5


def test_a_host_that_does_not_exist_is_unavailable(loop: Any) -> None:
    for error in both(f"postgresql://user:{SECRET}@no-such-host.invalid/db", loop):
        assert isinstance(error, DatabaseUnavailable)
        assert SECRET not in _everything(error)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "mysql://host/db",
        f"postgresql://user:{SECRET}/x@host/db",
        f"postgresql://user:x@{SECRET}@host/db",
        f"postgresql://user:%zz{SECRET}@host/db",
        f"postgresql://user:{SECRET} x@host/db",
        f"postgresql://host/db?nonsense={SECRET}",
        f"host=x nonsense={SECRET}",
    ],
)
def test_a_url_that_is_none_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        Client(url).tasks()
    assert SECRET not in _everything(error.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("database", [None, ""])
def test_no_url_at_all_is_refused_before_the_first_use(kind: Any, database: object) -> None:
    with pytest.raises(ConfigError, match="no database was given"):
        kind(database)


def test_several_hosts_that_are_down_are_each_named(loop: Any) -> None:
    for error in both("postgresql://127.0.0.1:1,127.0.0.1:2/db", loop):
        assert "port 1 " in str(error) and "port 2 " in str(error)
        assert len(str(error).splitlines()) == 2


def test_a_wrong_password_is_told_without_telling_it(server: EmbeddedServer, url: str, loop: Any) -> None:
    rules = server.data_folder / "cluster" / "pg_hba.conf"
    rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'another'")
        connection.execute("SELECT pg_reload_conf()")
        time.sleep(0.1)

    for error in both(make_conninfo(url, user="guarded", password=SECRET), loop):
        assert isinstance(error, DatabaseUnavailable)
        assert "password authentication failed" in str(error)
        assert SECRET not in _everything(error)


def test_a_database_that_does_not_exist_is_named(url: str, loop: Any) -> None:
    for error in both(make_conninfo(url, dbname="nowhere"), loop):
        assert isinstance(error, DatabaseUnavailable)
        assert '"nowhere" does not exist' in str(error)


def test_a_database_without_the_schema_asks_for_migrate(empty_url: str, loop: Any) -> None:
    for error in both(empty_url, loop):
        assert isinstance(error, SchemaMismatch)
        assert error.exit_code == 78
        assert "durable migrate" in str(error)


def test_a_role_without_privileges_is_told_so(url: str, worker: Worker, loop: Any) -> None:
    worker.sql.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    for error in both(make_conninfo(url, user="stranger"), loop):
        assert isinstance(error, ConfigError)
        assert "permission denied" in str(error)


def test_a_locked_task_can_be_tried_again(url: str, worker: Worker) -> None:
    task_id = worker.task()
    with Client(url) as client, psycopg.connect(url) as other, psycopg.connect(url) as application:
        other.execute("SELECT FROM durable.task FOR UPDATE")
        application.execute("SET lock_timeout = '50ms'")
        with pytest.raises(TryAgain) as error:
            client.notify(task_id, "e", connection=application)
        assert isinstance(error.value.__cause__, psycopg.errors.LockNotAvailable)


@pytest.mark.parametrize("state", ["53100", "53200", "58030"])
def test_a_server_without_room_is_no_success_and_may_have_some_later(
    client: Client, worker: Worker, url: str, state: str
) -> None:
    task_id = worker.task()
    worker.store_program()
    calls: dict[str, Callable[[], object]] = {
        "INSERT ON durable.task": partial(client.launch, "t", "stored"),
        "INSERT ON durable.notification": partial(client.notify, task_id, "e"),
    }
    for what, call in calls.items():
        with impaired(url, what, state), pytest.raises(TryAgain) as error:
            call()
        assert str(error.value).splitlines() == [
            f"the database server cannot do it: {SAYS}", "look at its disk and its memory, and try again"
        ]  # fmt: skip
        assert error.value.exit_code == 75
        call()


def test_a_closed_client_says_that_it_is_closed(url: str) -> None:
    client = Client(url)
    client.tasks()
    client.close()
    with pytest.raises(DurableError, match="the client is closed"):
        client.tasks()


def test_a_pool_without_a_free_connection_is_told_so(url: str) -> None:
    pool = ConnectionPool[psycopg.Connection[Any]](url, min_size=1, max_size=1, timeout=0.1, open=True)
    said = "no database connection became free"
    with pool, pool.connection(), pytest.raises(DatabaseUnavailable, match=said):
        Client(pool).tasks()


def test_a_client_reconnects_after_its_connections_were_lost(client: Client, worker: Worker, url: str) -> None:
    """All four of them, and at once: the pauses of a pool that finds one broken after the other come to seconds."""
    with ThreadPoolExecutor(4) as threads, psycopg.connect(url) as lock:
        lock.execute("LOCK TABLE durable.task")
        calls = [threads.submit(client.tasks) for _ in range(4)]
        waiting = "SELECT count(*) = 4 FROM pg_locks WHERE relation = 'durable.task'::regclass AND NOT granted"
        wait_until(lambda: lock.execute(waiting).fetchone() == (True,), "four connections")
        lock.rollback()
        assert [call.result() for call in calls] == [[], [], [], []]
    worker.sql.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")

    started = time.monotonic()
    assert client.tasks() == []
    assert time.monotonic() - started < 3


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    def methods(of: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(of, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)


def _everything(error: BaseException | None) -> str:
    """The error and all that stands behind it, as a traceback would show it."""
    said = ""
    while error is not None:
        said += f"{error!r} {error}\n"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said
