"""`durable list`, `show`, `wait`, and what is done to a task: `cancel`, `pause`, `resume`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from durable.cli.following import wait_for_end
from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_done, print_one, print_rows, timestamp
from durable.cli.parameters import TASK_ID, TASK_IDS, seconds
from durable.cli.several import each
from durable.model import FAILURE_LOG_INDEX, Task, TaskState
from durable.operations.data import Json

DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000_000  # all of them are in memory before the first is printed
_WITH_REASON = (TaskState.FAILED, TaskState.QUARANTINED)


@click.command("list", cls=Command, epilog="durable list --state failed\ndurable list --name 'order-*' -o jsonl")
@click.option("--state", type=click.Choice([state.value for state in TaskState]), help="Only tasks in this state.")
@click.option("--name", "name_glob", metavar="GLOB", help="Only these names: * is any text, ? one character.")
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=DEFAULT_LIMIT, show_default=True, metavar="N")
@click.pass_obj
def list_tasks(invocation: Invocation, state: str | None, name_glob: str | None, limit: int) -> None:
    """Print tasks, the newest first."""
    found = invocation.client.tasks(state=state, name_glob=name_glob, limit=limit + 1)
    rows = [_row(task) for task in found[:limit]]
    print_rows(rows, invocation.output, ["id", "name", "state", "program", "created_at"])
    if len(found) > limit:
        click.echo(f"there are more; --limit shows more than these {limit}", err=True)


@click.command(cls=Command, epilog="durable show 12\ndurable show 12 -o json")
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.pass_obj
def show(invocation: Invocation, task_id: int) -> None:
    """Print all that is known about a task."""
    task = invocation.client.task(task_id)
    row = _row(task)
    row["reason"] = _reason(invocation, task_id) if task.state in _WITH_REASON else None
    print_one(row, invocation.output)
    if invocation.output == "table":
        for line in _what_next(task, has_reason=bool(row["reason"])):
            click.echo(line.format(task_id), err=True)


@click.command(cls=Command, epilog="durable wait 12 --timeout 5m")
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.option("--timeout", callback=seconds, metavar="DURATION", help="Give up after this long, with exit code 124.")
@click.pass_obj
def wait(invocation: Invocation, task_id: int, timeout: float | None) -> None:
    """Wait until a task ends and print its state. The exit code is 1 when it failed."""
    state = wait_for_end(invocation, task_id, timeout).state.value
    print_done(state, {"id": task_id, "state": state}, invocation.output)
    invocation.client.wait(task_id, raise_on_failure=True)


@click.command(cls=Command, epilog="durable cancel 12\ndurable cancel 12 13 14")
@TASK_IDS
@click.pass_obj
def cancel(invocation: Invocation, task_ids: tuple[int, ...]) -> int:
    """End tasks wherever they are. They commit nothing from then on; what they did before stays done.

    A worker that runs one drops it within seconds.
    """
    return each(task_ids, invocation.client.cancel, "task {} is cancelled")


@click.command(cls=Command, epilog="durable pause 12\ndurable pause 12 13 14")
@TASK_IDS
@click.pass_obj
def pause(invocation: Invocation, task_ids: tuple[int, ...]) -> int:
    """Stop tasks where they stand, until `durable resume`. They commit nothing from then on.

    Deadlines and timers go on: what was due meanwhile is due when the task is resumed.
    """
    return each(task_ids, invocation.client.pause, "task {} is paused")


@click.command(cls=Command, epilog="durable resume 12\ndurable resume 12 13 14")
@TASK_IDS
@click.pass_obj
def resume(invocation: Invocation, task_ids: tuple[int, ...]) -> int:
    """Let quarantined or paused tasks go on.

    They run from the top of their program along their journal. Deaths of workers that they were blamed for are
    forgotten. `durable show ID` says why a task was quarantined.
    """
    return each(task_ids, invocation.client.resume, "task {} is ready again")


def _reason(invocation: Invocation, task_id: int) -> str:
    lines = invocation.client.logs(task_id)
    return "\n".join(line.message.strip() for line in lines if line.index >= FAILURE_LOG_INDEX)


def _what_next(task: Task, has_reason: bool) -> Iterator[str]:
    """What somebody may want to know or do who looks at a task in this state."""
    if has_reason:
        yield "`durable logs {}` shows what it printed before"
    if task.state in (TaskState.QUARANTINED, TaskState.PAUSED):
        yield "`durable resume {}` lets it go on"
    elif task.state is TaskState.READY:
        yield "no worker has taken it up yet; `durable workers` shows those that are there"
    elif task.state is TaskState.SUSPENDED and task.wakeup_at is None:
        yield "it waits for a notification; `durable notify {} EVENT` sends one"


def _row(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "name": task.name,
        "state": task.state.value,
        "program": task.program or task.program_hash[:12],
        "program_hash": task.program_hash,
        "data": Json(task.data),
        "running_on": task.running_on,
        "created_at": timestamp(task.created_at),
        "completed_at": timestamp(task.completed_at),
        "wakeup_at": timestamp(task.wakeup_at),
        "lease": task.lease,
    }
