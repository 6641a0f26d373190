"""Rows as other programs leave them, and what a journal writer made of them, in plain SQL."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg.rows import TupleRow


class Tables:
    def __init__(self, connection: psycopg.Connection[TupleRow]) -> None:
        self.connection = connection
        self._program = self.value(
            "INSERT INTO durable.wasm (hash, wasm) VALUES (sha256('x'), 'x') "
            "ON CONFLICT (hash) DO UPDATE SET last_used = durable.now() RETURNING id"
        )

    def rows(self, sql: LiteralString, *parameters: object) -> list[TupleRow]:
        cursor = self.connection.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: LiteralString, *parameters: object) -> Any:
        rows = self.rows(sql, *parameters)
        return rows[0][0] if rows else None

    def worker(self) -> int:
        return int(self.value("INSERT INTO durable.worker DEFAULT VALUES RETURNING id"))

    def task(self, worker: int | None = None, *, lease: int = 1, state: str = "active") -> int:
        """A task that the worker runs under the lease."""
        return int(
            self.value(
                "INSERT INTO durable.task (name, wasm, state, running_on, lease) VALUES ('t', %s, %s, %s, %s) "
                "RETURNING id",
                self._program, state, worker, lease,
            )
        )  # fmt: skip

    def notify(self, task: int, event: str = "e", data: str = "null") -> int:
        return int(
            self.value(
                "INSERT INTO durable.notification (task_id, event, data) VALUES (%s, %s, %s) RETURNING id",
                task,
                event,
                data,
            )
        )

    def events(self, task: int) -> list[TupleRow]:
        return self.rows("SELECT index, label, value::text FROM durable.event WHERE task_id = %s ORDER BY index", task)

    def logs(self, task: int) -> list[TupleRow]:
        return self.rows("SELECT index, message FROM durable.log WHERE task_id = %s ORDER BY index", task)

    def inbox(self, task: int) -> list[TupleRow]:
        return self.rows("SELECT event, data::text FROM durable.notification WHERE task_id = %s ORDER BY id", task)

    def state(self, task: int) -> str:
        return str(self.value("SELECT state FROM durable.task WHERE id = %s", task))

    def trace(self, task: int) -> tuple[object, ...]:
        """Everything that a part could have changed."""
        row = self.rows(
            "SELECT state, running_on, completed_at, wakeup_at, wait_index, wait_until FROM durable.task WHERE id = %s",
            task,
        )
        return self.events(task), self.logs(task), self.inbox(task), row
