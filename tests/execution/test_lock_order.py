"""No two of the things that the engine does at the same time wait for each other in a circle.

Every pair is started while a third session holds one of the rows that they touch, so that each comes as far as it can
with what it has locked by then; then the row is let go. Whoever deadlocks is told so by PostgreSQL.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable.journal.part import JournalPart, Message, TaskChange
from durable.model import FAILURE_LOG_INDEX, Event, TaskState
from durable.store.journal import append_parameters
from durable.store.queries import load
from tests.proof import IS_FULL, seed

pytestmark = [pytest.mark.proof(minutes=1), pytest.mark.timeout(1200)]

Connection = psycopg.AsyncConnection[TupleRow]
Statement = tuple[str, dict[str, Any]]
#: As many of the combinations in `make test`; `make chaos` tries all.
SAMPLE = 250


@dataclass
class Rows:
    """What there is to lock: two of each, where the order can matter."""

    worker: int
    dead: int
    secret: str
    program: int
    unused: int
    active: list[int] = field(default_factory=list)
    orphans: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)


def prepare(connection: psycopg.Connection[TupleRow]) -> Rows:
    def one(sql: str, *parameters: object) -> Any:
        ((value,),) = connection.execute(sql, parameters).fetchall()
        return value

    worker, dead = (one("INSERT INTO durable.worker DEFAULT VALUES RETURNING id") for _ in range(2))
    connection.execute("UPDATE durable.worker SET heartbeat_at = 'epoch' WHERE id = %s", (dead,))
    secret = one("SELECT secret::text FROM durable.worker WHERE id = %s", worker)
    used, unused = (
        one("INSERT INTO durable.wasm (hash, wasm, last_used) VALUES (sha256(%s), '', 'epoch') RETURNING id", name)
        for name in (b"used", b"unused")
    )
    rows = Rows(worker, dead, secret, used, unused)

    def tasks(state: str, running_on: int | None = None) -> list[int]:
        return [
            one("INSERT INTO durable.task (name, wasm, state, running_on, lease, completed_at) VALUES "
                "('t', %s, %s, %s, 1, CASE WHEN %s = 'complete' THEN timestamptz 'epoch' END) RETURNING id",
                used, state, running_on, state)
            for _ in range(2)
        ]  # fmt: skip

    rows.active, rows.orphans = tasks("active", worker), tasks("active", dead)
    rows.waiting, rows.ready, rows.ended = tasks("suspended"), tasks("ready"), tasks("complete")
    for task in rows.ended:
        connection.execute(
            "INSERT INTO durable.event (task_id, index, label, value)"
            " SELECT %s, i, 'e', '1' FROM generate_series(0, 9) AS i", (task,),
        )  # fmt: skip
    for task in rows.waiting:  # as the sender's trigger left it when the row was locked
        connection.execute("ALTER TABLE durable.notification DISABLE TRIGGER USER")
        connection.execute("INSERT INTO durable.notification (task_id, event) VALUES (%s, 'e')", (task,))
        connection.execute("ALTER TABLE durable.notification ENABLE TRIGGER USER")
    return rows


# -- what the engine does --------------------------------------------------------------------------------------------
def append(rows: Rows, *, state: TaskState | None = None, backwards: bool = False) -> list[Statement]:
    """Of both active tasks, each sending to both waiting ones, to an ended one and to the other."""
    targets = [*rows.waiting, rows.ended[0], *rows.active]
    parts = [
        JournalPart(
            task, 1, [Event(0, "label", "null")], [(0, "text")],
            [Message(target, "e", "null") for target in (reversed(targets) if backwards else targets)], [],
            None if state is None else TaskChange(state, wakes_on_notification=True),
        )
        for task in (reversed(rows.active) if backwards else rows.active)
    ]  # fmt: skip
    statements = [(load("journal")["append"], append_parameters(parts, rows.worker))]
    if state is TaskState.SUSPENDED:
        statements.append((load("journal")["wake_notified"], {"task": rows.active}))
    return statements


def guest_record(rows: Rows) -> list[Statement]:
    """In one transaction, as a worker sends it; what a COMMIT would check is checked before its end."""
    task = rows.active[1]
    record = re.sub(r"\$(\d)", r"%(p\1)s", load("guest")["record"])
    values = (task, 1, rows.secret, 0, "sql", "1", "m")
    return [
        ("SELECT durable.guest_begin(%(task)s, 0)", {"task": task}),
        (record, {f"p{number}": value for number, value in enumerate(values, 1)}),
        ("SET CONSTRAINTS ALL IMMEDIATE", {}),
    ]


def reclaim(rows: Rows) -> list[Statement]:
    """With one task that has died once too often."""
    parameters = {
        "known_dead": [rows.dead], "presumed_dead": [], "timeout": 30.0, "limit": 100, "max_deaths": 1,
        "culprit_task": rows.orphans[1:], "culprit_lease": [1], "culprit_cause": ["signal 9"],
        "reason_index": FAILURE_LOG_INDEX,
    }  # fmt: skip
    forgotten = {"dead": [rows.dead], "known_dead": [rows.dead]}
    return [(load("lease")["reclaim"], parameters), (load("lease")["forget_dead_workers"], forgotten)]


def notify(rows: Rows, targets: Sequence[int]) -> list[Statement]:
    """An application's transaction."""
    send = load("notification")["send"]
    return [(send, {"task_id": task, "event": "e", "data": "null"}) for task in targets]


OPERATIONS: dict[str, Callable[[Rows], list[Statement]]] = {
    "claim": lambda rows: [(load("lease")["claim"], {"worker": rows.worker, "limit": 10, "lacking": [], "bytes": 100})],
    "append": append,
    "append backwards": lambda rows: append(rows, backwards=True),
    "suspend": lambda rows: append(rows, state=TaskState.SUSPENDED),
    "finish": lambda rows: append(rows, state=TaskState.COMPLETE, backwards=True),
    "guest_record": guest_record,
    "cancel": lambda rows: [(load("task")["cancel"], {"task_id": task}) for task in (rows.active[1], rows.waiting[1])],
    "pause": lambda rows: [(load("task")["pause"], {"task_id": rows.active[1]})],
    "resume": lambda rows: [(load("task")["resume"], {"task_id": rows.waiting[1], "reason_index": FAILURE_LOG_INDEX})],
    "announce_drain": lambda rows: [(load("lease")["announce_drain"], {"worker": rows.worker})],
    "notify": lambda rows: notify(rows, [*rows.waiting, *rows.active]),
    "notify backwards": lambda rows: notify(rows, [*reversed(rows.active), *reversed(rows.waiting)]),
    "reclaim": reclaim,
    "release": lambda rows: [
        (load("lease")["release"], {"worker": rows.worker, "task": [*reversed(rows.active)], "lease": [1, 1]})
    ],
    "take_up_stranded": lambda rows: [(load("lease")["take_up_stranded"], {"limit": 10})],
    "heartbeat": lambda rows: [(load("lease")["heartbeat"], {"worker": rows.worker, "timeout": 30.0})],
    "unregister": lambda rows: [
        (load("lease")[name], {"worker": rows.worker}) for name in ("lock_worker", "unregister_worker")
    ],
    "wake_waiting": lambda rows: [(load("journal")["wake_waiting"], {"tasks": [*reversed(rows.waiting)]})],
    "wake_all_waiting": lambda rows: [(load("journal")["wake_all_waiting"], {})],
    "delete_ended_tasks": lambda rows: [
        (load("sweep")["delete_ended_tasks"], {"age": 60.0, "limit": 100, "rows": 100})
    ],
    "shorten_ended_task": lambda rows: [(load("sweep")["shorten_ended_task"], {"age": 60.0, "rows": 1})],
    "delete_unused_programs": lambda rows: [(load("sweep")["delete_unused_programs"], {"ttl": 60.0, "limit": 100})],
    "launch": lambda rows: [
        (load("program")["touch"], {"program_id": rows.unused, "name": "n"}),
        (load("task")["launch"], {"program_id": rows.unused, "name": "t", "data": "null"}),
    ],
    "program rm": lambda rows: [(load("program")["remove"], {"program_id": rows.unused})],
}


def holding(table: str, which: Callable[[Rows], int]) -> Callable[[Rows], Statement]:
    return lambda rows: (f"SELECT 1 FROM durable.{table} WHERE id = %(id)s FOR UPDATE", {"id": which(rows)})


#: The row that somebody else holds meanwhile.
HELD: dict[str, Callable[[Rows], Statement]] = {
    "the first active task": holding("task", lambda rows: rows.active[0]),
    "the second active task": holding("task", lambda rows: rows.active[1]),
    "the second waiting task": holding("task", lambda rows: rows.waiting[1]),
    "an ended task": holding("task", lambda rows: rows.ended[0]),
    "an orphan": holding("task", lambda rows: rows.orphans[1]),
    "the worker": holding("worker", lambda rows: rows.worker),
    "the unused program": holding("wasm", lambda rows: rows.unused),
}


# -- blocked, then released ------------------------------------------------------------------------------------------
class Sessions:
    """Who holds a row, the two that come to it, and who watches them. Everything is rolled back in the end."""

    def __init__(self, holder: Connection, pair: tuple[Connection, Connection], watcher: Connection) -> None:
        self._holder, self._pair, self._watcher = holder, pair, watcher
        self.waits = 0

    async def meet(self, held: Statement, first: list[Statement], second: list[Statement]) -> None:
        """Raises psycopg.errors.DeadlockDetected, or TimeoutError."""
        await _run(self._holder, [held])
        tasks = []
        for connection, statements in zip(self._pair, (first, second), strict=True):
            tasks.append(asyncio.create_task(_run(connection, statements)))
            await self._until_it_waits_or_is_over(connection, tasks[-1])
        try:
            await self._holder.rollback()
            async with asyncio.timeout(20):
                for connection, task in zip(self._pair, tasks, strict=True):
                    # Each may have to wait for the end of the other's transaction.
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    for one, done in zip(self._pair, tasks, strict=True):
                        if done.done():
                            await one.rollback()
                    await task
                    await connection.rollback()
        finally:
            await asyncio.gather(*tasks, return_exceptions=True)
            for connection in self._pair:
                await connection.rollback()

    async def _until_it_waits_or_is_over(self, connection: Connection, task: asyncio.Task[None]) -> None:
        pid = connection.info.backend_pid
        while not task.done():
            cursor = await self._watcher.execute("SELECT cardinality(pg_blocking_pids(%s))", (pid,))
            ((blockers,),) = await cursor.fetchall()
            if blockers:
                self.waits += 1
                return
            await asyncio.sleep(0.001)


async def _run(connection: Connection, statements: list[Statement]) -> None:
    for statement, parameters in statements:
        await connection.execute(statement, parameters)


def combinations() -> list[tuple[str, str, str]]:
    """The row that is held, who comes first, who comes second: all, or a sample."""
    everything = list(itertools.product(HELD, OPERATIONS, OPERATIONS))
    chance = random.Random(seed())
    return everything if IS_FULL else chance.sample(everything, SAMPLE)


def test_no_pair_waits_in_a_circle(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        rows = prepare(connection)
    pairs = combinations()

    async def scenario() -> int:
        async with AsyncExitStack() as stack:
            holder, first, second, watcher = [
                await stack.enter_async_context(
                    await psycopg.AsyncConnection.connect(database_url, autocommit=number == 3)
                )
                for number in range(4)
            ]
            sessions = Sessions(holder, (first, second), watcher)
            for held, one, other in pairs:
                await (await first.execute("SET deadlock_timeout = '100ms'")).close()
                await second.execute("SET deadlock_timeout = '100ms'")
                try:
                    await sessions.meet(HELD[held](rows), OPERATIONS[one](rows), OPERATIONS[other](rows))
                except psycopg.errors.DeadlockDetected as error:
                    raise AssertionError(f"{one}, then {other}, while {held} is held: {error}") from None
                except psycopg.errors.UniqueViolation:
                    pass  # both recorded the same event: two owners cannot meet, as one lease is over by then
            return sessions.waits

    waits = asyncio.run(scenario())
    print(f"{len(pairs):,} pairs: {waits} times somebody waited")
    assert waits > 50, "hardly anybody waited for anybody"
