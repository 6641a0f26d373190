"""`durable logs` and `durable events`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext

import click

from durable.cli.following import LogText, require_complete, say_when_nobody_works, says_that_it_goes_on
from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_each, print_rows, timestamp
from durable.cli.parameters import TASK_ID
from durable.model import LogLine
from durable.operations.data import Json


@click.command(cls=Command, epilog="durable logs 12\ndurable logs -f 12")
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.option("--tail", "--follow", "-f", "tail", is_flag=True, help="Go on until the task ends.")
@click.pass_obj
def logs(invocation: Invocation, task_id: int, tail: bool) -> None:
    """Print what a task printed, and last why it failed.

    With --tail the exit code is 1 when the task failed. With -o jsonl each text has the time at which it was committed.
    """
    client = invocation.client
    if tail and not client.task(task_id).state.is_ended:
        say_when_nobody_works(invocation)
    lines = client.follow_logs(task_id) if tail else client.logs(task_id)
    with says_that_it_goes_on(task_id) if tail else nullcontext():
        _print(lines, invocation.output)
    if tail:
        require_complete(client.task(task_id))


@click.command(cls=Command, epilog="durable events 12\ndurable events 12 -o jsonl")
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.pass_obj
def events(invocation: Invocation, task_id: int) -> None:
    """Print the journal: every recorded call with its result."""
    rows = [
        {"index": event.index, "label": event.label, "value": Json(event.value)}
        for event in invocation.client.events(task_id)
    ]
    print_rows(rows, invocation.output, ["index", "label", "value"])


def _print(lines: Iterable[LogLine], format: str) -> None:
    if format != "table":
        print_each(map(_row, lines), format)
        return
    text = LogText(reason_on_stderr=False)
    for line in lines:
        text.write(line)


def _row(line: LogLine) -> dict[str, object]:
    return {"index": line.index, "message": line.message, "created_at": timestamp(line.created_at)}
