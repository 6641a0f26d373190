"""PgQueuer: jobs of one step, over asyncpg and uvloop as `pgq run` does. `work BATCH` runs a worker.

`pgq run` itself fails before it starts with the version of its library for commands that pip chooses today.
"""

import asyncio
import os
import sys
import time

import asyncpg
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

BATCH = 1000


def say(*words: object) -> None:
    """A whole line at once: two threads or processes may write at the same time."""
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


async def worker() -> PgQueuer:
    queue = PgQueuer(AsyncpgDriver(await asyncpg.connect(os.environ["PEER_URL"])))

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        pass

    @queue.entrypoint("probe")
    async def probe(job: Job) -> None:
        say("latency", time.time() - float(job.payload or b""))

    @queue.entrypoint("long")
    async def long(job: Job) -> None:
        say("began", os.getpid(), time.time())
        await asyncio.sleep(600)

    return queue


async def fill(queries: Queries, workflow: str, count: int) -> None:
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        await queries.enqueue([workflow] * size, [b'{"number": 1}'] * size, [0] * size)


async def probe(queries: Queries, count: int) -> None:
    for _ in range(count):
        await queries.enqueue("probe", str(time.time()).encode())
        await asyncio.sleep(float(os.environ["PEER_PAUSE"]))


async def main(command: str, *arguments: str) -> None:
    if command == "work":
        return await (await worker()).run(batch_size=int(arguments[0]))
    connection = await asyncpg.connect(os.environ["PEER_URL"])
    queries = Queries(AsyncpgDriver(connection))
    if command == "schema":
        await queries.install()
    elif command == "fill":
        started = time.perf_counter()
        await fill(queries, arguments[0], int(arguments[1]))
        print("filled", time.perf_counter() - started)
    else:
        await probe(queries, int(arguments[0]))
    return await connection.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
