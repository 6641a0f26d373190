"""Databases for tests that change no schema, and SQL that does what a worker would do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable.embedded import EmbeddedServer
from durable.store import migrations
from tests.conftest import url_of

_numbers = count(1)


@pytest.fixture
def empty_url(server: EmbeddedServer) -> str:
    """The URL of a new database without anything in it."""
    return new_database(server)


@pytest.fixture(scope="session")
def migrated(server: EmbeddedServer) -> str:
    """The URL of a database with the latest schema."""
    url = new_database(server)
    with psycopg.connect(url, autocommit=True) as connection:
        migrations.migrate(connection)
    return url


@pytest.fixture
def url(migrated: str) -> Iterator[str]:
    """The URL of a database with the latest schema, as if it were new: making one takes ten times as long."""
    yield migrated
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'durable'").fetchall()
        tables = [f"durable.{name}" for (name,) in rows if name != "migration"]
        connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
        for table in tables:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.fixture
def sql(url: str) -> Iterator[psycopg.Connection[TupleRow]]:
    """A connection to the test's database, in autocommit mode."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def worker(sql: psycopg.Connection[TupleRow]) -> Worker:
    return Worker(sql)


def new_database(server: EmbeddedServer) -> str:
    """The URL of a database that was made just now."""
    name = f"client_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return url_of(server, name)


def until_somebody_listens(sql: psycopg.Connection[TupleRow]) -> None:
    """Every listening connection has LISTEN as the last thing that it said."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if sql.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        ).rowcount:
            return
        time.sleep(0.01)
    raise AssertionError("nobody listens")


@dataclass
class Worker:
    """What a worker writes, without a worker. `sql` may be in any thread's hands, one at a time."""

    sql: psycopg.Connection[TupleRow]

    def store_program(self, content: bytes = b"no component", name: str | None = "stored") -> int:
        """A program that no check has seen: enough for whatever does not run it."""
        return self._one("INSERT INTO durable.wasm (hash, wasm, name) VALUES (sha256(%b), %b, %s) RETURNING id",
                         content, content, name)  # fmt: skip

    def task(self, state: str = "ready", name: str = "a task") -> int:
        """A task in some state."""
        program = self._one(
            "INSERT INTO durable.wasm (hash, wasm, name) VALUES (sha256('x'), 'x', 'stored') "
            "ON CONFLICT (hash) DO UPDATE SET last_used = durable.now() RETURNING id"
        )
        return self._one(
            "INSERT INTO durable.task (name, wasm, state) VALUES (%s, %s, %s) RETURNING id", name, program, state
        )

    def register(self) -> int:
        return self._one("INSERT INTO durable.worker (host, pid, version) VALUES ('here', 7, '0') RETURNING id")

    def record(self, task_id: int, index: int, label: str, value: object) -> None:
        self.sql.execute(
            "INSERT INTO durable.event (task_id, index, label, value) VALUES (%s, %s, %s, %s)",
            [task_id, index, label, json.dumps(value)],
        )

    def print(self, task_id: int, index: int, message: str) -> None:
        self.sql.execute(
            "INSERT INTO durable.log (task_id, index, message) VALUES (%s, %s, %s)", [task_id, index, message]
        )

    def end(self, task_id: int, state: str = "complete") -> None:
        self.sql.execute(
            "UPDATE durable.task SET state = %s, completed_at = durable.now() WHERE id = %s", [state, task_id]
        )

    def drop_hints(self) -> None:
        """From now on nothing in this database sends a NOTIFY."""
        for table in ("task", "log", "worker"):
            self.sql.execute(f"ALTER TABLE durable.{table} DISABLE TRIGGER USER")

    def _one(self, statement: str, *parameters: object) -> int:
        row = self.sql.execute(statement, parameters).fetchone()
        assert row is not None
        return int(row[0])


def component(folder: Path, name: str = "hello.wasm", note: str = "") -> Path:
    """The file of a small component that ends at once; each note makes another program."""
    return _assemble(folder / name, RUNS.replace("NOTE", note))


def needy_component(folder: Path) -> Path:
    """The file of a component that imports what no host of durable provides."""
    door = '(import "acme:gate/door@1.0.0" (instance (export "open" (func))))'
    return _assemble(folder / "needy.wasm", RUNS.replace("(component", f"(component {door}", 1))


def idle_component(folder: Path) -> Path:
    """The file of a component that has nothing to run."""
    return _assemble(folder / "idle.wasm", "(component)")


def core_module(folder: Path) -> Path:
    """The file of a module, which is not a component."""
    return _assemble(folder / "module.wasm", "(module)")


RUNS = """
(component
  (core module $module
    (func (export "run") (result i32) (i32.const 0))
    (@custom "note" "NOTE"))
  (core instance $instance (instantiate $module))
  (func $run (result (result)) (canon lift (core func $instance "run")))
  (instance $exported (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $exported)))
"""


def _assemble(path: Path, text: str) -> Path:
    import wasmtime

    path.write_bytes(wasmtime.wat2wasm(text))
    return path
