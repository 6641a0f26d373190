"""What tests ask the database, as a user would with plain SQL."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg.rows import TupleRow

WORKFLOWS = Path(__file__).parent.parent / "workflows"
WORKFLOWS_SQLX = Path(__file__).parent.parent / "workflows-sqlx"
WORKFLOWS_CHAOS = Path(__file__).parent.parent / "workflows-chaos"
WORKFLOWS_HTTP = Path(__file__).parent.parent / "workflows-http"
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PLUGIN = EXAMPLES / "plugin-mail"
COMPONENTS = Path(__file__).parent.parent / "components"

T = TypeVar("T")

_ENDED = ("complete", "failed", "cancelled", "quarantined")


def wait_until(condition: Callable[[], T | None], what: str, timeout: float = 30.0) -> T:
    """The first true value of `condition`; an error that names `what` when none comes in time."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:g} s (last: {value!r})")
        time.sleep(0.01)


def workflow(name: str) -> Path:
    return next(
        path
        for folder in (WORKFLOWS, WORKFLOWS_SQLX, WORKFLOWS_CHAOS, WORKFLOWS_HTTP, EXAMPLES, PLUGIN, COMPONENTS)
        if (path := folder / f"{name}.wasm").exists()
    )


class Database:
    """A connection that comes back after PostgreSQL was restarted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[TupleRow] | None = None

    def query(self, sql: LiteralString, *parameters: object) -> list[TupleRow]:
        try:
            cursor = self._connected().execute(sql, parameters)
        except psycopg.OperationalError:
            lost = self._connection is None or self._connection.closed
            if not lost or not sql.startswith("SELECT"):
                raise
            return self.query(sql, *parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: LiteralString, *parameters: object) -> Any:
        rows = self.query(sql, *parameters)
        return rows[0][0] if rows else None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _connected(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._connection.closed:
            self.close()
            self._connection = wait_until(self._try_to_connect, "a connection to PostgreSQL")
        return self._connection

    def _try_to_connect(self) -> psycopg.Connection[TupleRow] | None:
        try:
            return psycopg.connect(self.url, autocommit=True)
        except psycopg.OperationalError:
            return None

    # -- tasks, by plain SQL as in the storage contract ---------------------------------------------------------------
    def program(self, path: Path) -> int:
        content = path.read_bytes()
        return int(
            self.value(
                "INSERT INTO durable.wasm (hash, wasm, name) VALUES (%s, %s, %s) "
                "ON CONFLICT (hash) DO UPDATE SET last_used = durable.now() RETURNING id",
                hashlib.sha256(content).digest(), content, path.stem,
            )
        )  # fmt: skip

    def launch(self, name: str, data: object = None, *, task_name: str | None = None) -> int:
        return int(
            self.value(
                "INSERT INTO durable.task (name, wasm, data) VALUES (%s, %s, %s) RETURNING id",
                task_name or name, self.program(workflow(name)), json.dumps(data),
            )
        )  # fmt: skip

    def notify(self, task: int, event: str, data: object = None) -> None:
        self.query(
            "INSERT INTO durable.notification (task_id, event, data) VALUES (%s, %s, %s)",
            task, event, json.dumps(data),
        )  # fmt: skip

    def state(self, task: int) -> str:
        return str(self.value("SELECT state FROM durable.task WHERE id = %s", task))

    def wait_for_end(self, task: int, timeout: float = 30.0) -> str:
        def ended() -> str | None:
            state = self.state(task)
            return state if state in _ENDED else None

        return wait_until(ended, f"the end of task {task}, now {self.state(task)}", timeout)

    def wait_for_state(self, task: int, state: str, timeout: float = 30.0) -> None:
        wait_until(lambda: self.state(task) == state, f"task {task} is {state}", timeout)

    def wait_for_all(self, timeout: float = 60.0) -> None:
        """Every task has ended."""
        wait_until(
            lambda: not self.value(
                "SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active', 'suspended')"
            ),
            "the end of all tasks", timeout,
        )  # fmt: skip

    def log(self, task: int) -> str:
        rows = self.query("SELECT message FROM durable.log WHERE task_id = %s ORDER BY index", task)
        return "".join(row[0] for row in rows)

    def failure(self, task: int) -> str:
        """Why the task failed."""
        return str(self.value("SELECT message FROM durable.log WHERE task_id = %s AND index >= 2147483646", task))

    def labels(self, task: int) -> list[str]:
        return [row[0] for row in self.query("SELECT label FROM durable.event WHERE task_id = %s ORDER BY index", task)]

    def events(self, task: int) -> list[TupleRow]:
        return self.query("SELECT index, label, value FROM durable.event WHERE task_id = %s ORDER BY index", task)

    def assert_dense(self, task: int) -> None:
        indexes = [row[0] for row in self.events(task)]
        assert indexes == list(range(len(indexes))), "the journal has gaps or doubles"

    def advance_clock(self, seconds: float) -> None:
        """Move the time of the whole system: everything that compares times asks this function."""
        self.query(
            "CREATE OR REPLACE FUNCTION durable.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE "
            f"AS 'SELECT pg_catalog.statement_timestamp() + interval ''{seconds:f} s'''"
        )
