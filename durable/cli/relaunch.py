"""`durable relaunch`."""

from __future__ import annotations

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.cli.output import print_done
from durable.cli.parameters import FILE, TASK_IDS
from durable.cli.several import each
from durable.errors import DurableError
from durable.operations.data import Json


@click.command(cls=Command, epilog="durable relaunch 12\ndurable relaunch 12 13 14 --program corrected.wasm")
@TASK_IDS
@click.option(
    "--program", "component", type=FILE, metavar="COMPONENT", help="Run this one; the same as before when not given."
)
@click.pass_obj
def relaunch(invocation: Invocation, task_ids: tuple[int, ...], component: str | None) -> int:
    """Launch ended tasks again, from their beginning.

    Each becomes a new task with the same name, data and program; the old one stays as it is. What it did before stays
    done, and is done again.
    """
    client = invocation.client
    program = None if component is None else client.program(component)

    def again(task_id: int) -> None:
        task = client.task(task_id)
        if not task.state.is_ended:
            raise DurableError(f"task {task_id} is {task.state}: only an ended task can be launched again")
        new_id = client.launch(task.name, program or task.program_hash, Json(task.data))
        said = f"launched task {task_id} again, as a new task with id {new_id}"
        print_done(said, {"id": new_id, "of": task_id}, invocation.output)

    return each(task_ids, again)
