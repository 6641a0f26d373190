"""`durable notify`."""

from __future__ import annotations

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.parameters import TASK_ID, json_or_file
from durable.operations.data import Json, json_text


@click.command(cls=Command, epilog="durable notify 12 task-exit\ndurable notify 12 payment '{\"amount\": 12}'")
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.argument("event")
@click.argument("data", metavar="[JSON]", callback=json_or_file, default="null")
@click.pass_obj
def notify(invocation: Invocation, task_id: int, event: str, data: Json) -> None:
    """Send the notification EVENT to a task.

    Its data is JSON: null when not given, @FILE for what is in a file.
    """
    json_text(data, "notification data")  # before a database is looked for
    invocation.client.notify(task_id, event, data)
