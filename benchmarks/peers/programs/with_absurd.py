"""Absurd: tasks of recorded steps. `absurdctl` carries its schema; workers are processes of its SDK."""

import asyncio
import os
import sys
import time
from typing import Any

import absurdctl
import psycopg
from absurd_sdk import Absurd, AsyncAbsurd

QUEUE = "bench"
CONCURRENCY = 32


def say(*words: object) -> None:
    """A whole line at once: two threads or processes may write at the same time."""
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


async def work() -> None:
    app = AsyncAbsurd(os.environ["PEER_URL"], queue_name=QUEUE)

    @app.register_task(name="noop")
    async def noop(params: Any, context: Any) -> None:
        pass

    @app.register_task(name="steps")
    async def steps(params: Any, context: Any) -> None:
        for number in range(10):

            async def step(number: int = number) -> int:
                return number

            await context.step(f"step {number}", step)

    @app.register_task(name="probe")
    async def probe(params: Any, context: Any) -> None:
        say("latency", time.time() - params["sent"])

    @app.register_task(name="long")
    async def long(params: Any, context: Any) -> None:
        say("began", os.getpid(), time.time())
        await asyncio.sleep(600)

    await app.start_worker(concurrency=CONCURRENCY)


def schema() -> None:
    with psycopg.connect(os.environ["PEER_URL"], autocommit=True) as connection:
        connection.execute(absurdctl.BUNDLED_SCHEMA_SQL)
    Absurd(os.environ["PEER_URL"], queue_name=QUEUE).create_queue(QUEUE)


def main(command: str, *arguments: str) -> None:
    if command == "work":
        asyncio.run(work())
    if command == "schema":
        return schema()
    app = Absurd(os.environ["PEER_URL"], queue_name=QUEUE)
    if command == "fill":
        started = time.perf_counter()
        for _ in range(int(arguments[1])):
            app.spawn(arguments[0], {"number": 1}, queue=QUEUE)
        print("filled", time.perf_counter() - started)
        return None
    for _ in range(int(arguments[0])):
        app.spawn("probe", {"sent": time.time()}, queue=QUEUE)
        time.sleep(float(os.environ["PEER_PAUSE"]))
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
