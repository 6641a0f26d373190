"""`durable workers`."""

from __future__ import annotations

from typing import Any

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_rows, timestamp
from durable.model import WorkerInfo

COLUMNS = ["id", "host", "pid", "version", "started_at", "heartbeat_age", "state", "active_tasks"]


@click.command(cls=Command, epilog="durable workers\ndurable workers -o json")
@click.pass_obj
def workers(invocation: Invocation) -> None:
    """Print the registered workers of all hosts.

    There are their processes, their last heartbeat, and how many tasks they run. A dead worker has lost its tasks to
    others; it is listed until they have taken all of them. One that drains hands its tasks over and claims no more.
    """
    found = invocation.client.workers(heartbeat_timeout=invocation.config.heartbeat_timeout)
    rows = [_row(worker, invocation.output == "table") for worker in found]
    print_rows(rows, invocation.output, COLUMNS)


def _row(worker: WorkerInfo, is_table: bool) -> dict[str, Any]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "started_at": timestamp(worker.started_at),
        "heartbeat_at": timestamp(worker.heartbeat_at),
        "heartbeat_age": f"{worker.heartbeat_age:.1f}s" if is_table else round(worker.heartbeat_age, 3),
        "state": worker.state,
        "alive": worker.is_alive,
        "active_tasks": worker.active_tasks,
    }
