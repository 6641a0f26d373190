"""The command `durable` with all its subcommands."""

from __future__ import annotations

import click

from durable.cli.completion import completion
from durable.cli.configuration import config
from durable.cli.doctor import doctor
from durable.cli.launch import launch
from durable.cli.migrate import migrate
from durable.cli.notify import notify
from durable.cli.options import Group
from durable.cli.program import program
from durable.cli.reading import events, logs
from durable.cli.relaunch import relaunch
from durable.cli.service import service
from durable.cli.simulate import simulate
from durable.cli.supervise import supervise
from durable.cli.tasks import cancel, list_tasks, pause, resume, show, wait
from durable.cli.version import print_version, version
from durable.cli.workers import workers


@click.group(
    cls=Group,
    no_args_is_help=False,
    epilog="durable supervise --workers 2\ndurable launch --tail 'my first task' hello-world.wasm",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version.",
)
def cli() -> None:
    """Run workflows to completion, whatever dies underneath them."""


for command in (
    supervise,
    launch,
    logs,
    events,
    notify,
    list_tasks,
    show,
    wait,
    cancel,
    pause,
    resume,
    relaunch,
    workers,
    program,
    migrate,
    config,
    doctor,
    service,
    simulate,
    version,
    completion,
):
    cli.add_command(command)
