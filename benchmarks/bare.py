"""An upper bound: what group commit in Python reaches on this machine without guests, hints and contracts.

Processes claim rows in batches, and each of their tasks appends events one after the other, waiting for each to be
durable, through one writer that puts whatever has gathered into one statement and one commit. The tables are as plain
as can be: no foreign key, no trigger, no index but the primary keys and the one for the claim. It is not an engine: it
cannot replay, wake, or recover.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import psycopg

from tests.engine.database import Database

_SCHEMA = """
    CREATE SCHEMA bare;
    CREATE TABLE bare.task (id bigint PRIMARY KEY, state text NOT NULL DEFAULT 'ready', owner int);
    CREATE INDEX ON bare.task (id) WHERE state = 'ready';
    CREATE TABLE bare.event (
        task bigint, index int, value jsonb NOT NULL, created_at timestamptz DEFAULT now(), PRIMARY KEY (task, index)
    );
"""
_CLAIM = """
    UPDATE bare.task SET state = 'active', owner = %s
    FROM (SELECT id FROM bare.task WHERE state = 'ready' ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED) AS chosen
    WHERE task.id = chosen.id RETURNING task.id
"""
_APPEND = """
    WITH held AS (SELECT id FROM bare.task WHERE owner = %s AND id = ANY (%s) FOR SHARE)
    INSERT INTO bare.event (task, index, value)
    SELECT new.task, new.index, new.value FROM unnest(%s::bigint[], %s::int[], %s::jsonb[]) AS new (task, index, value)
    JOIN held ON held.id = new.task
"""
_FINISH = "UPDATE bare.task SET state = 'complete', owner = NULL WHERE owner = %s AND id = ANY (%s)"

_CONCURRENT = 64
_BATCH = 1000
_CONNECT_TIMEOUT = 60.0


class Bare:
    """The tables, and processes that are connected and wait for work."""

    def __init__(self, database: Database, events: int, workers: Sequence[Connection]) -> None:
        self._database = database
        self._events = events
        self._workers = workers

    def drain(self, count: int) -> float:
        """Events per second, from the moment at which the processes are let go to the end of the last one."""
        self._database.query("TRUNCATE bare.task, bare.event")
        self._database.query("INSERT INTO bare.task SELECT generate_series(1, %s)", count)
        self._database.query("VACUUM ANALYZE bare.task")
        started = time.perf_counter()
        for worker in self._workers:
            worker.send("go")
        for worker in self._workers:
            worker.recv()
        seconds = time.perf_counter() - started
        recorded = int(self._database.value("SELECT count(*) FROM bare.event"))
        assert recorded == count * self._events
        return recorded / seconds


@contextmanager
def bare(database: Database, events: int, processes: int = 2) -> Iterator[Bare]:
    """`events` are those of each task."""
    database.query(_SCHEMA)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(processes)]
    workers = [
        context.Process(target=_work, args=(database.url, number, events, there), daemon=True)
        for number, (_, there) in enumerate(pipes)
    ]
    try:
        for worker in workers:
            worker.start()
        for here, _ in pipes:
            assert here.poll(_CONNECT_TIMEOUT) and here.recv() == "ready"
        yield Bare(database, events, [here for here, _ in pipes])
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _work(url: str, owner: int, events: int, orders: Connection) -> None:
    asyncio.run(_serve(url, owner, events, orders))


async def _serve(url: str, owner: int, events: int, orders: Connection) -> None:
    connect = psycopg.AsyncConnection.connect
    async with await connect(url, autocommit=True) as claims, await connect(url, autocommit=True) as journal:
        orders.send("ready")
        while await asyncio.to_thread(orders.recv):
            writer = _Writer(journal, owner)
            writing = asyncio.create_task(writer.run())
            await _drain(claims, writer, owner, events)
            writing.cancel()
            orders.send("done")


async def _drain(claims: psycopg.AsyncConnection[Any], writer: _Writer, owner: int, events: int) -> None:
    room = asyncio.Semaphore(_CONCURRENT)
    tasks: set[asyncio.Task[None]] = set()

    async def one(task: int) -> None:
        for index in range(events):
            await writer.add((task, index))
        await writer.add((task, None))
        room.release()

    while True:
        limit = await _acquire_all(room)
        rows = await (await claims.execute(_CLAIM, (owner, limit), prepare=True)).fetchall()
        for _ in range(limit - len(rows)):
            room.release()
        if not rows:
            break
        tasks = {task for task in tasks if not task.done()} | {asyncio.create_task(one(id)) for (id,) in rows}
    await asyncio.gather(*tasks)


async def _acquire_all(room: asyncio.Semaphore) -> int:
    """Wait for room, then take all there is."""
    await room.acquire()
    taken = 1
    while not room.locked():
        await room.acquire()
        taken += 1
    return taken


class _Writer:
    """One commit for whatever was added while the commit before was under way."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], owner: int) -> None:
        self._connection = connection
        self._owner = owner
        self._queue: asyncio.Queue[tuple[int, int | None, asyncio.Future[None]]] = asyncio.Queue()

    async def add(self, entry: tuple[int, int | None]) -> None:
        """An event of a task, or its end when the index is None. Returns when it is durable."""
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((*entry, durable))
        await durable

    async def run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < _BATCH:
                batch.append(self._queue.get_nowait())
            await self._write(batch)
            for *_, durable in batch:
                durable.set_result(None)

    async def _write(self, batch: Sequence[tuple[int, int | None, asyncio.Future[None]]]) -> None:
        events = [(task, index) for task, index, _ in batch if index is not None]
        ended = [task for task, index, _ in batch if index is None]
        async with self._connection.pipeline(), self._connection.transaction():
            if events:
                tasks, indexes = (list(column) for column in zip(*events, strict=True))
                values = ['{"number": 1}'] * len(events)
                parameters = (self._owner, list(set(tasks)), tasks, indexes, values)
                await self._connection.execute(_APPEND, parameters, prepare=True)
            if ended:
                await self._connection.execute(_FINISH, (self._owner, ended), prepare=True)
