"""SQL of a workflow: all of it with its event, or none of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.service import Service


@pytest.fixture
def table(database: Database) -> str:
    database.query("CREATE SCHEMA app")
    database.query("CREATE TABLE app.step (task bigint, step int)")
    database.query("CREATE TABLE app.t (x int UNIQUE)")
    return "app.t"


def run_statement(database: Database, sql: str) -> int:
    task = database.launch("use-sql", {"sql": sql})
    database.wait_for_end(task)
    return task


def values(database: Database) -> list[int]:
    return [row[0] for row in database.query("SELECT x FROM app.t ORDER BY x")]


def test_what_a_transaction_writes_is_there_with_its_event(database: Database, table: str, service: Service) -> None:
    task = run_statement(database, "INSERT INTO app.t VALUES (1) RETURNING x")
    assert database.state(task) == "complete"
    assert database.labels(task)[0] == "sql"
    assert values(database) == [1]


def test_after_an_error_nothing_is_written_and_the_result_tells_why(
    database: Database, table: str, service: Service
) -> None:
    database.query("INSERT INTO app.t VALUES (1)")
    task = run_statement(database, "INSERT INTO app.t VALUES (1)")
    assert database.state(task) == "complete"
    assert "UniqueViolation" in database.log(task)
    assert "t_x_key" in database.log(task)
    assert values(database) == [1]


@pytest.mark.parametrize(
    "sql",
    [
        "COMMIT",
        "/* x */ commit and chain",
        "ROLLBACK",
        "rollback and chain",
        "PREPARE TRANSACTION 'x'",
        "COPY app.t FROM STDIN",
        "END",
        "ABORT",
    ],
)
def test_a_workflow_that_ends_its_transaction_itself_fails_and_leaves_nothing(
    database: Database, table: str, service: Service, sql: str
) -> None:
    task = run_statement(database, sql)
    assert database.state(task) == "failed"
    assert database.labels(task) == []
    assert values(database) == []
    # and the connection is good for the next one
    assert database.state(run_statement(database, "INSERT INTO app.t VALUES (2)")) == "complete"
    assert values(database) == [2]


def test_a_stale_worker_commits_no_sql(database: Database, table: str, start_service: StartService) -> None:
    service = start_service(workers=2, heartbeat_interval="0.3", heartbeat_timeout="1.5")
    task = database.launch("use-sql", {"sql": "INSERT INTO app.t SELECT 1 FROM pg_sleep(1)"})
    stopped = wait_until(lambda: service.worker_of(task), "a worker that runs the task")
    assert stopped is not None
    time.sleep(0.4)
    os.kill(stopped, signal.SIGSTOP)
    assert database.wait_for_end(task, 60) == "complete"
    os.kill(stopped, signal.SIGCONT)
    wait_until(
        lambda: stopped in {row[0] for row in database.query("SELECT pid FROM durable.worker")}, "it registers again"
    )
    assert values(database) == [1]


def test_settings_of_one_workflow_do_not_reach_the_next(
    database: Database, table: str, start_service: StartService
) -> None:
    start_service(workers=1, guest_sql_connections="1")
    for sql in (
        "SET search_path = app",
        "SET statement_timeout = 0",
        "SELECT pg_advisory_lock(7)",
        "CREATE TEMP TABLE mine (x int)",
        "PREPARE p AS SELECT 1",
        "LISTEN somewhere",
    ):
        assert database.state(run_statement(database, sql)) == "complete"
    task = run_statement(
        database,
        "SELECT current_setting('search_path') || ' ' || (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p')"
        " || ' ' || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        " || ' ' || coalesce(to_regclass('mine')::text, 'none')",
    )
    assert '"$user", public 0 0 none' in database.log(task)


def test_a_statement_is_stopped_at_the_hosts_deadline(
    database: Database, table: str, start_service: StartService
) -> None:
    service = start_service(workers=1, guest_sql_timeout="0.5")
    before = service.pids()
    task = run_statement(database, "INSERT INTO app.t SELECT 1 FROM pg_sleep(30)")
    assert database.state(task) == "failed"
    assert "guest_sql_timeout" in database.failure(task)
    assert values(database) == []
    wait_until(
        lambda: (
            not database.query(
                "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%pg_sleep%%' AND state = 'active' "
                "AND application_name = 'durable guest'"
            )
        ),
        "the server stops the statement, too",
    )
    assert service.pids() == before


def test_sql_through_a_login_of_its_own_reaches_only_what_it_was_granted(
    database: Database, table: str, start_service: StartService, request: pytest.FixtureRequest
) -> None:
    database.query("CREATE ROLE guest_of_test LOGIN")
    request.addfinalizer(_dropper(database))
    database.query("GRANT USAGE ON SCHEMA app, durable TO guest_of_test")
    database.query("GRANT ALL ON app.t TO guest_of_test")
    database.query("GRANT EXECUTE ON FUNCTION durable.guest_begin, durable.guest_record TO guest_of_test")
    start_service(workers=1, guest_database_url=database.url.replace("//durable@", "//guest_of_test@"))

    assert database.state(run_statement(database, "INSERT INTO app.t VALUES (1)")) == "complete"
    assert values(database) == [1]
    for sql in (
        "SELECT * FROM durable.task",
        "SELECT secret FROM durable.worker",
        "DELETE FROM durable.guest_transaction",
        "SELECT * FROM app.step",
        "SET ROLE durable",
    ):
        task = run_statement(database, sql)
        assert "permission denied" in database.log(task), sql
    forged = "SELECT durable.guest_record(1, 1, gen_random_uuid(), 0, 'x', '1', '')::text"
    assert "false" in database.log(run_statement(database, forged)).lower()


def _dropper(database: Database) -> Callable[[], None]:
    def drop() -> None:
        database.query("DROP OWNED BY guest_of_test")
        database.query("DROP ROLE guest_of_test")

    return drop


def test_kills_in_the_middle_double_nothing_and_lose_nothing(
    database: Database, table: str, start_service: StartService
) -> None:
    service = start_service(workers=2)
    tasks = [
        database.launch("use-sql", {"sql": f"INSERT INTO app.step SELECT {n}, 1 FROM pg_sleep(0.1)"}) for n in range(60)
    ]
    for kill in range(1, 6):
        wait_until(
            lambda n=kill: database.value("SELECT count(*) FROM app.step") >= 8 * n,  # type: ignore[misc]
            f"{8 * kill} rows",
        )
        os.kill(service.pids()[kill % 2], signal.SIGKILL)
        service.wait_for_workers(2)
    for task in tasks:
        assert database.wait_for_end(task) == "complete", database.failure(task)
    assert database.query("SELECT task, count(*) FROM app.step GROUP BY task HAVING count(*) <> 1") == []
    assert database.value("SELECT count(*) FROM app.step") == 60
    assert database.value("SELECT count(*) FROM durable.guest_transaction") == 0


def test_the_statement_of_a_killed_worker_lets_go_of_its_locks(
    database: Database, table: str, start_service: StartService
) -> None:
    """Otherwise the next owner waits for rows that nobody will ever commit, as long as a statement may take."""
    database.query("INSERT INTO app.t VALUES (1)")
    service = start_service(workers=2, guest_sql_timeout="100")
    long_only_at_first = (
        "WITH locked AS (UPDATE app.t SET x = x + 1 RETURNING x) SELECT x FROM locked, LATERAL"
        " pg_sleep(CASE WHEN EXISTS (SELECT FROM app.step) THEN 0 ELSE 90 + 0 * x END)"
    )
    task = database.launch("use-sql", {"sql": long_only_at_first})
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    wait_until(lambda: database.value(sleeping) == 1, "the statement holds its lock")
    database.query("INSERT INTO app.step VALUES (0, 0)")
    killed = service.worker_of(task)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert database.wait_for_end(task, 30) == "complete", database.failure(task)
    assert values(database) == [2]
