"""`durable launch`."""

from __future__ import annotations

import click

from durable.cli.following import tail_log, wait_for_end
from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_done
from durable.cli.parameters import DATA, FILE
from durable.operations.data import Json, task_data, task_name


@click.command(
    cls=Command,
    epilog="durable launch --tail 'my first task' hello-world.wasm\n"
    "durable launch --wait order-17 hello-world --data '{\"amount\": 12}'",
)
@click.argument("name")
@click.argument("component", type=FILE)
@DATA
@click.option("--tail", "--follow", "-f", "tail", is_flag=True, help="Print the task's log until it ends.")
@click.option("--wait", "waits", is_flag=True, help="Wait until the task ends.")
@click.pass_obj
def launch(invocation: Invocation, name: str, component: str, data: Json, tail: bool, waits: bool) -> None:
    """Launch a task called NAME that runs COMPONENT.

    COMPONENT is a file, or the name or hash of a stored program. With --tail or --wait the exit code is 1 when the
    task failed.
    """
    # Before a database is looked for, and perhaps started.
    task_name(name)
    task_data(data, invocation.config.max_task_data_bytes)
    task_id = invocation.client.launch(name, component, data)
    print_done(f"launched new task with id {task_id}", {"id": task_id}, invocation.output)
    if tail:
        tail_log(invocation, task_id)
    elif waits:
        wait_for_end(invocation, task_id)
        invocation.client.wait(task_id, raise_on_failure=True)
