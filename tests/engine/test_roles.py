"""ops/roles.sql gives each kind of login what it needs, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import psycopg
import pytest

from durable.client import Client
from durable.store.migrations import migrate
from tests.engine.conftest import StartService
from tests.engine.database import Database, workflow

ROLES = Path(__file__).parent.parent.parent / "ops" / "roles.sql"
LOGINS = ("worker", "client", "guest")

# What each login may do: S(elect), I(nsert), U(pdate), D(elete). An * stands for everything, TRUNCATE, REFERENCES and
# TRIGGER included. In small letters: in some columns only, which are below.
TABLES = {
    #                     owner  worker  client  guest
    "task":              ("*",   "SIUD", "SIu",  ""),
    "event":             ("*",   "SIUD", "S",    ""),
    "log":               ("*",   "SIUD", "S",    ""),
    "notification":      ("*",   "SIUD", "SI",   ""),
    "wasm":              ("*",   "SIUD", "SIu",  ""),
    "worker":            ("*",   "SIUD", "s",    ""),
    "guest_transaction": ("*",   "SIUD", "",     ""),
    "migration":         ("*",   "S",    "S",    ""),
}  # fmt: skip
# The only columns of a table that a login may see or change, where it may not all.
COLUMNS = {
    ("task", "client", "UPDATE"): {"state", "wakeup_at"},
    ("wasm", "client", "UPDATE"): {"last_used", "name"},
    ("worker", "client", "SELECT"): {
        "id", "started_at", "heartbeat_at", "host", "boot", "pid", "pid_started", "version", "draining",
    },
}  # fmt: skip
SEQUENCES = {
    "task_id_seq": {"owner", "worker", "client"},
    "wasm_id_seq": {"owner", "worker", "client"},
    "notification_id_seq": {"owner", "worker", "client"},
    "worker_id_seq": {"owner", "worker"},
}
# Functions that can be called: those of triggers cannot, whoever may execute them.
FUNCTIONS = {
    "now": {"owner", "worker", "client", "guest"},
    "guest_begin": {"owner", "worker", "guest"},
    "guest_record": {"owner", "worker", "guest"},
}
EVERYBODY = ("owner", *LOGINS)
VERBS = {"S": "SELECT", "I": "INSERT", "U": "UPDATE", "D": "DELETE"}
OWNERS_VERBS = ("TRUNCATE", "REFERENCES", "TRIGGER")


@pytest.fixture
def urls(database: Database) -> Iterator[dict[str, str]]:
    """The URLs of four logins; the owner, no superuser, has made the schema and run the file."""
    name = database.value("SELECT current_database()")
    database.query("CREATE ROLE test_owner LOGIN CREATEROLE")
    database.query(f"GRANT CREATE ON DATABASE {name} TO test_owner")
    database.query("DROP SCHEMA durable CASCADE")
    urls = {login: database.url.replace("//durable@", f"//test_{login}@") for login in EVERYBODY}
    try:
        with psycopg.connect(urls["owner"], autocommit=True) as owner:
            migrate(owner)
            owner.execute(ROLES.read_text())
            owner.execute(ROLES.read_text())  # again, as after an upgrade
        for login in LOGINS:
            database.query(f"CREATE ROLE test_{login} LOGIN IN ROLE durable_{login}")
        yield urls
    finally:
        for login in LOGINS:
            for role in (f"test_{login}", f"durable_{login}"):
                _drop(database, role)
        _drop(database, "test_owner")


def _drop(database: Database, role: str) -> None:
    if database.value("SELECT to_regrole(%s)", role):
        database.query(f"DROP OWNED BY {role} CASCADE")
        database.query(f"DROP ROLE {role}")


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


def test_the_matrix_names_everything_in_the_schema(database: Database, urls: dict[str, str]) -> None:
    relations = "SELECT relname FROM pg_class WHERE relnamespace = 'durable'::regnamespace AND relkind = ANY (%s)"
    assert {row[0] for row in database.query(relations, list("rpvmf"))} == set(TABLES)
    assert {row[0] for row in database.query(relations, ["S"])} == set(SEQUENCES)
    functions = database.query(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'durable'::regnamespace AND prorettype <> 'trigger'::regtype"
    )
    assert {row[0] for row in functions} == set(FUNCTIONS)


def test_each_login_may_do_with_each_table_what_the_matrix_says(database: Database, urls: dict[str, str]) -> None:
    for (table, cells), verb in product(TABLES.items(), VERBS.values()):
        for login, cell in zip(EVERYBODY, cells, strict=True):
            asked = (f"test_{login}", f"durable.{table}", verb)
            may = database.value("SELECT has_table_privilege(%s, %s::regclass, %s)", *asked)
            assert may == (cell == "*" or verb[0] in cell), f"{login}: {verb} on {table}"
            if verb != "DELETE":  # which is of whole rows
                may = database.value("SELECT has_any_column_privilege(%s, %s::regclass, %s)", *asked)
                assert may == (cell == "*" or verb[0] in cell.upper()), f"{login}: {verb} in columns of {table}"


def test_a_login_reaches_the_columns_that_it_needs(database: Database, urls: dict[str, str]) -> None:
    columns = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
            AND has_column_privilege(%s, attrelid, attnum, %s)"""
    for (table, login, verb), expected in COLUMNS.items():
        found = {row[0] for row in database.query(columns, f"durable.{table}", f"test_{login}", verb)}
        assert found == expected, f"{login}: {verb} in columns of {table}"


def test_every_cell_in_small_letters_has_its_columns() -> None:
    in_small = {
        (table, login, verb)
        for table, cells in TABLES.items()
        for login, cell in zip(EVERYBODY, cells, strict=True)
        for letter, verb in VERBS.items()
        if letter.lower() in cell
    }
    assert in_small == set(COLUMNS)


def test_only_the_owner_changes_the_schema(database: Database, urls: dict[str, str]) -> None:
    for login in EVERYBODY:
        role, is_owner = f"test_{login}", login == "owner"
        assert database.value("SELECT has_schema_privilege(%s, 'durable', 'USAGE')", role)
        assert database.value("SELECT has_schema_privilege(%s, 'durable', 'CREATE')", role) == is_owner
        for table, verb in product(TABLES, OWNERS_VERBS):
            may = database.value("SELECT has_table_privilege(%s, %s::regclass, %s)", role, f"durable.{table}", verb)
            assert may == is_owner, f"{login}: {verb} on {table}"


def test_each_login_draws_from_the_sequences_that_it_needs(database: Database, urls: dict[str, str]) -> None:
    for (sequence, logins), login in product(SEQUENCES.items(), EVERYBODY):
        for right, allowed in (("USAGE", login in logins), ("UPDATE", login == "owner")):  # UPDATE could set it back
            may = database.value(
                "SELECT has_sequence_privilege(%s, %s::regclass, %s)", f"test_{login}", f"durable.{sequence}", right
            )
            assert may == allowed, f"{login}: {right} on {sequence}"


def test_each_login_calls_the_functions_that_it_needs(database: Database, urls: dict[str, str]) -> None:
    for (function, logins), login in product(FUNCTIONS.items(), EVERYBODY):
        may = database.value(
            "SELECT has_function_privilege(%s, oid, 'EXECUTE') FROM pg_proc "
            "WHERE pronamespace = 'durable'::regnamespace AND proname = %s", f"test_{login}", function,
        )  # fmt: skip
        assert may == (login in logins), f"{login}: {function}"


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
