"""Procrastinate: jobs of one step. Workers are `procrastinate --app=with_procrastinate.app worker`."""

import asyncio
import os
import sys
import time

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["PEER_URL"]))
BATCH = 1000


def say(*words: object) -> None:
    """A whole line at once: two threads or processes may write at the same time."""
    print(" ".join(map(str, words)) + "\n", end="", flush=True)


@app.task(name="noop")
async def noop(number: int) -> None:
    pass


@app.task(name="probe")
async def probe(sent: float) -> None:
    say("latency", time.time() - sent)


@app.task(name="long")
async def long(number: int) -> None:
    say("began", os.getpid(), time.time())
    await asyncio.sleep(600)


async def fill(workflow: str, count: int) -> None:
    started = time.perf_counter()
    task = app.tasks[workflow]
    for first in range(0, count, BATCH):
        await task.batch_defer_async(*[{"number": 1}] * min(BATCH, count - first))
    print("filled", time.perf_counter() - started)


async def main(command: str, *arguments: str) -> None:
    async with app.open_async():
        if command == "schema":
            await app.schema_manager.apply_schema_async()
        elif command == "fill":
            await fill(arguments[0], int(arguments[1]))
        else:
            for _ in range(int(arguments[0])):
                await probe.defer_async(sent=time.time())
                await asyncio.sleep(float(os.environ["PEER_PAUSE"]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
