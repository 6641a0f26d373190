"""Attacks on exactly-once by a real workflow through the real service: effects if, and only if, there is the event."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database
from tests.engine.service import Service

LOGIN = "attacker_of_test"
INSERT = "INSERT INTO app.effect VALUES (1)"
FORGE = "SELECT durable.guest_record({task}, 1, gen_random_uuid(), 0, 'forged', '1', '')"
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'durable' AND datname IS NOT NULL"

#: What the workflow sends, how its task ends, and how many rows are left of it. `complete` without a row is a
#: transaction that failed, and whose workflow was told so.
ATTACKS: dict[str, tuple[list[str], str, int]] = {
    "an early COMMIT": ([INSERT, "COMMIT"], "failed", 0),
    "ROLLBACK, then write and COMMIT": (["ROLLBACK", INSERT, "COMMIT"], "failed", 0),
    "ROLLBACK AND CHAIN, then write and COMMIT": ([INSERT, "ROLLBACK AND CHAIN", INSERT, "COMMIT"], "failed", 0),
    "several statements in one": ([f"ROLLBACK; {INSERT}; COMMIT"], "complete", 0),
    "a hidden commit": ([INSERT, "/* x */ commit and chain", INSERT], "failed", 0),
    "a commit within a block": (["DO $$ BEGIN INSERT INTO app.effect VALUES (1); COMMIT; END $$"], "complete", 0),
    "back to the role of the engine": ([INSERT, "RESET ROLE", "SELECT * FROM durable.task"], "complete", 0),
    "removing what protects": ([INSERT, "DELETE FROM durable.guest_transaction"], "complete", 0),
    "switching off what protects": (
        [INSERT, "ALTER TABLE durable.guest_transaction DISABLE TRIGGER ALL"], "complete", 0,
    ),
    "forging the event": ([INSERT, FORGE, "COMMIT"], "failed", 0),
    "PREPARE TRANSACTION": ([INSERT, "PREPARE TRANSACTION 'z'", "COMMIT PREPARED 'z'"], "failed", 0),
    "SET CONSTRAINTS": ([INSERT, "SET CONSTRAINTS ALL IMMEDIATE"], "complete", 0),
    "ending the engine's sessions": ([INSERT, OTHERS], "complete", 0),
    "no timeout": (["SET statement_timeout = 0", INSERT], "complete", 1),
    "undone and done again": (
        ["SAVEPOINT a", INSERT, "SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK TO a", INSERT], "complete", 1,
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def enough_attacks() -> None:
    assert len(ATTACKS) >= 12


@pytest.fixture
def service(database: Database, start_service: StartService) -> Iterator[Service]:
    """One connection for the SQL of workflows: each finds it as the one before has left it."""
    database.query("CREATE SCHEMA app CREATE TABLE app.effect (n int)")
    database.query(f"CREATE ROLE {LOGIN} LOGIN")
    try:
        database.query(f"GRANT USAGE ON SCHEMA app, durable TO {LOGIN}")
        database.query(f"GRANT ALL ON app.effect TO {LOGIN}")
        database.query(f"GRANT EXECUTE ON FUNCTION durable.guest_begin, durable.guest_record TO {LOGIN}")
        yield start_service(
            workers=1, guest_sql_connections="1",
            guest_database_url=database.url.replace("//durable@", f"//{LOGIN}@"),
        )  # fmt: skip
    finally:
        database.query(f"DROP OWNED BY {LOGIN}")
        database.query(f"DROP ROLE {LOGIN}")


def test_effects_if_and_only_if_event(database: Database, service: Service) -> None:
    before = service.pids()
    for name, (statements, ends, rows) in ATTACKS.items():
        database.query("TRUNCATE app.effect")
        following = database.value("SELECT last_value + 1 FROM durable.task_id_seq")
        statements = [one.replace("{task}", str(following)) for one in statements]
        task = database.launch("sql-statements", {"statements": statements}, task_name=name)
        assert database.wait_for_end(task) == ends, (name, database.log(task))
        assert database.value("SELECT count(*) FROM app.effect") == rows, name
        assert database.labels(task)[:1] == (["statements"] if ends == "complete" else []), name
        if ends == "complete" and not rows:
            assert "error" in json.loads(database.log(task))[-1], name
    assert service.pids() == before
    assert database.value("SELECT count(*) FROM durable.guest_transaction") == 0


def test_a_panic_undoes_what_was_written_and_is_recorded(database: Database, service: Service) -> None:
    statements = {"statements": [INSERT], "panic": True}
    task = database.launch("sql-statements", statements)
    assert database.wait_for_end(task) == "failed"
    assert "panicking on purpose" in database.log(task)
    assert database.labels(task)[0] == "statements"
    assert database.value("SELECT count(*) FROM app.effect") == 0
