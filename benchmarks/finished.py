"""Finished tasks by the million, made by SQL: what a database looks like after months."""

from __future__ import annotations

from tests.engine.database import Database, workflow

EVENTS = 3
_CHUNK = 250_000


def add_finished_tasks(database: Database, count: int) -> None:
    """Tasks as they are when they have ended, with their events, vacuumed and analysed as autovacuum would have done.

    Without triggers, and so without the checks of foreign keys and without hints: this is the past.
    """
    program = database.program(workflow("ten-events"))
    database.query("SET session_replication_role = replica")
    for first in range(0, count, _CHUNK):
        _add(database, program, first, min(_CHUNK, count - first))
    database.query("SET session_replication_role = origin")
    database.query("VACUUM (FREEZE, ANALYZE) durable.task, durable.event")
    database.query("CHECKPOINT")


def _add(database: Database, program: int, first: int, count: int) -> None:
    database.query(
        "WITH finished AS ("
        "  INSERT INTO durable.task (name, wasm, state, lease, data, created_at, completed_at)"
        "  SELECT 'task ' || n, %s, 'complete', 1, jsonb_build_object('number', n), moment, moment + interval '1 s'"
        "  FROM (SELECT n, durable.now() - interval '10 days' + n * interval '50 ms' AS moment"
        "        FROM generate_series(%s::bigint, %s::bigint) AS n) AS past"
        "  RETURNING id, completed_at"
        ")"
        " INSERT INTO durable.event (task_id, index, created_at, label, value)"
        " SELECT id, index, completed_at, 'step', '{\"type\": \"value\", \"data\": 1}'"
        " FROM finished, generate_series(0, %s - 1) AS index",
        program, first, first + count - 1, EVENTS,
    )  # fmt: skip
