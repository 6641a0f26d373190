"""An application that runs its workflows itself: its own code, a client and a worker share one asyncio loop.

Each order is a task of the example program `notified`, which prints the notifications that it gets. Run it with
`python examples/embedded-worker/app.py`; README.md beside it explains what to note.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psycopg

from durable import AsyncClient, Program, Worker
from durable.config import Config, load
from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate

NOTIFIED = Path(__file__).parent.parent / "notified.wasm"
ORDERS = ("a teapot", "two cups", "a spoon")


def main() -> int:
    """Settings come from where `durable` takes them; without a database URL the embedded PostgreSQL is used."""
    config = load({}, os.environ)
    try:
        if config.database_url is not None:
            asyncio.run(serve(config))
        else:
            _serve_with_embedded_server(config)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped; what was not done goes on at the next start", file=sys.stderr)
        return 130
    return 0


def _serve_with_embedded_server(config: Config) -> None:
    # All of this before there is an event loop, which it would block.
    with EmbeddedServer().hold() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            migrate(connection)
        asyncio.run(serve(config.with_database_url(server.url, "the embedded server")))


async def serve(config: Config) -> None:
    """Run the application beside a worker, until its work is done, SIGTERM, or the end of the worker."""
    _cancel_on_sigterm()
    assert config.database_url is not None
    async with AsyncClient(config.database_url) as client, Worker(config) as worker, asyncio.TaskGroup() as group:
        watch = group.create_task(worker.wait_closed())  # raises when the worker has failed for good
        await sell(client)
        watch.cancel()
    # The worker has drained: a task that had not ended would go on at the next start, or in another process.


async def sell(client: AsyncClient) -> None:
    """The application: one task for each order, all at the same time."""
    program = await client.program(NOTIFIED)
    await asyncio.gather(*(_handle(client, program, order) for order in ORDERS))


async def _handle(client: AsyncClient, program: Program, order: str) -> None:
    task_id = await client.launch(f"order: {order}", program)
    await client.notify(task_id, "paid", {"item": order})
    await client.notify(task_id, "task-exit")  # what this program takes as the end
    async for line in client.follow_logs(task_id):
        print(f"{order}: {line.message}", end="")
    task = await client.wait(task_id, raise_on_failure=True)
    print(f"{order}: {task.state}")


def _cancel_on_sigterm() -> None:
    """Like Ctrl-C: leave all blocks in order, so that the worker hands its tasks back at once."""
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)


if __name__ == "__main__":
    sys.exit(main())
