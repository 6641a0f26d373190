"""How many steps per second the workflows of one worker do in the world outside: requests, and SQL exactly once."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from benchmarks.figures import Figure, figure
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import Database, wait_until, workflow

_STEPS = 10
_TASKS = 100


def http(stage: Stage) -> Iterator[Figure]:
    """Workflows that send ten small requests each to a server on this machine."""
    with _answering() as port, _stage(stage, egress_allow="127.0.0.1") as at_work:
        drains = at_work.drains("http-steps", {"url": f"http://127.0.0.1:{port}/", "count": _STEPS})
    yield figure("HTTP steps, 1 worker", "steps/s", [drain.rate for drain in drains])
    yield figure("… worker's CPU for an HTTP step", "µs", [drain.worker_cpu for drain in drains])
    yield figure("… PostgreSQL's CPU for an HTTP step", "µs", [drain.database_cpu for drain in drains])


def sql(stage: Stage) -> Iterator[Figure]:
    """Workflows that insert ten rows each, in a transaction with its event for every one."""
    with _stage(stage) as at_work:
        at_work.database.query("CREATE SCHEMA app CREATE TABLE app.step (task_id bigint, step int)")
        drains = at_work.drains("sql-exactly-once", {"steps": _STEPS})
        assert at_work.database.value("SELECT count(*) FROM app.step") == at_work.launched * _STEPS
        plain = [at_work.plain_insert(stage.size(1000)) for _ in range(stage.rounds)]
    yield figure("SQL transactions, 1 worker", "steps/s", [drain.rate for drain in drains])
    yield figure("… worker's CPU for an SQL transaction", "µs", [drain.worker_cpu for drain in drains])
    yield figure("… PostgreSQL's CPU for an SQL transaction", "µs", [drain.database_cpu for drain in drains])
    yield figure("… WAL for an SQL transaction", "bytes", [drain.wal for drain in drains])
    yield figure("… PostgreSQL's CPU for a plain INSERT and its commit", "µs", [cpu for cpu, _ in plain])
    yield figure("… WAL for a plain INSERT and its commit", "bytes", [wal for _, wal in plain])


@dataclass(frozen=True, slots=True)
class Drain:
    """What one step costs, from the launch of the tasks to the end of the last one; CPU time in µs."""

    rate: float
    worker_cpu: float
    database_cpu: float
    wal: float


class _AtWork:
    def __init__(self, stage: Stage, database: Database, client: Client, workers: Sequence[int]) -> None:
        self.database = database
        self.launched = 0
        self._stage = stage
        self._client = client
        self._workers = workers

    def drains(self, name: str, data: object) -> list[Drain]:
        """One per round, after one that warms everything up."""
        self._drain(name, data, self._stage.size(_TASKS))
        self.database.query("ANALYZE")
        return [self._drain(name, data, self._stage.size(_TASKS)) for _ in range(self._stage.rounds)]

    def _drain(self, name: str, data: object, count: int) -> Drain:
        program = self._client.program(workflow(name))
        before, started = self._spent(), time.perf_counter()
        self._client.launch_many(program, [(f"task {number}", data) for number in range(count)])
        ended = "SELECT count(*) FROM durable.task WHERE completed_at IS NOT NULL"
        self.launched += count
        wait_until(lambda: self.database.value(ended) == self.launched, f"the end of {count} tasks", timeout=120)
        seconds = time.perf_counter() - started
        assert not self.database.value("SELECT count(*) FROM durable.task WHERE state <> 'complete'")
        steps = count * _STEPS
        worker, server, wal = self._spent_since(before, steps)
        return Drain(steps / seconds, worker, server, wal)

    def plain_insert(self, count: int) -> tuple[float, float]:
        """CPU time in µs and bytes of WAL for one row that a client inserts without durable."""
        before = self._spent()
        for number in range(count):
            self.database.query("INSERT INTO app.step VALUES (%s, 0)", number)
        _, server, wal = self._spent_since(before, count)
        return server, wal

    def _spent_since(self, before: Sequence[float], steps: int) -> tuple[float, float, float]:
        worker, server, wal = (after - earlier for after, earlier in zip(self._spent(), before, strict=True))
        return worker / steps * 1e6, server / steps * 1e6, wal / steps

    def _spent(self) -> tuple[float, float, float]:
        """CPU seconds of the workers and of PostgreSQL, and the bytes of its log."""
        wal = float(self.database.value("SELECT pg_current_wal_insert_lsn() - '0/0'"))
        return cpu_seconds(self._workers), cpu_seconds(self._stage.database_pids()), wal


@contextmanager
def _stage(stage: Stage, **settings: str) -> Iterator[_AtWork]:
    with (
        stage.database() as database,
        Client(database.url) as client,
        stage.service(database, workers=1, **settings) as service,
    ):
        yield _AtWork(stage, database, client, service.pids())


@contextmanager
def _answering() -> Iterator[int]:
    """A server in a process of its own, which answers every request with a few bytes. Its port."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_answer, args=(there,), daemon=True)
    process.start()
    try:
        yield here.recv()
    finally:
        process.kill()
        process.join()


def _answer(port: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(_Answer, "127.0.0.1", 0, backlog=500)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class _Answer(asyncio.Protocol):
    """Of a request nothing matters but its end: the bodies of these workflows end with a brace."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = b""

    def data_received(self, data: bytes) -> None:
        self._read += data
        if self._read.endswith(b"}"):
            self._read = b""
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
