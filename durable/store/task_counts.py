"""How many tasks there are in each state, at a cost that does not grow with the number of ended ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg.errors import QueryCanceled
from psycopg.rows import TupleRow

from durable.model import TaskState
from durable.store.queries import load

Connection = psycopg.Connection[TupleRow]

#: Up to this many tasks of a state are counted; what the planner believes has to do for more.
BOUND = 100_000
#: Seconds for one statement; a count that takes longer is given up for the estimate.
PATIENCE = 2.0

_QUERIES = load("gauge")
_OWN_QUERY = (TaskState.READY, TaskState.ACTIVE, TaskState.SUSPENDED, TaskState.COMPLETE)


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """`oldest_ready` is since when that task is ready, in seconds since the Unix epoch; None when no task is ready.

    `launched` counts launches since the schema was made, those that were rolled back included.
    """

    states: Mapping[TaskState, int]
    oldest_ready: float | None
    launched: int


def open_connection(url: str) -> Connection:
    """A connection for the functions below, which never waits for long. Raises psycopg.Error."""
    connection = psycopg.connect(
        url, autocommit=True, connect_timeout=5, application_name="durable exporter",
        keepalives_idle=10, keepalives_interval=5, keepalives_count=3, tcp_user_timeout=10_000,
    )  # fmt: skip
    connection.execute("SELECT set_config('statement_timeout', %s, false)", (f"{PATIENCE * 1000:.0f}",))
    return connection


def ping(connection: Connection) -> None:
    """Raises psycopg.Error when the database does not answer."""
    connection.execute("SELECT 1")


def count_tasks(connection: Connection) -> TaskCounts:
    """Raises psycopg.Error."""
    rows = {state: _bounded(connection, state) for state in TaskState}
    ready = rows[TaskState.READY]
    ((launched,),) = connection.execute(_QUERIES["launched"]).fetchall()
    return TaskCounts(
        {state: _judged(connection, state, row) for state, row in rows.items()},
        oldest_ready=None if ready is None else ready[1],
        launched=int(launched),
    )


def _judged(connection: Connection, state: TaskState, row: TupleRow | None) -> int:
    counted = 0 if row is None else int(row[0])
    is_exact = row is not None and counted < BOUND
    return counted if is_exact else max(counted, _estimate(connection, state))


def _bounded(connection: Connection, state: TaskState) -> TupleRow | None:
    """None when it took too long."""
    query = _QUERIES[state.value if state in _OWN_QUERY else "set_apart"]
    try:
        return connection.execute(query, {"state": state.value, "bound": BOUND}).fetchone()
    except QueryCanceled:
        return None


def _estimate(connection: Connection, state: TaskState) -> int:
    ((plans,),) = connection.execute(_QUERIES["estimate"], {"state": state.value}).fetchall()
    return int(cast(list[dict[str, Any]], plans)[0]["Plan"]["Plan Rows"])
