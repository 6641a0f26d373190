"""`durable migrate`."""

from __future__ import annotations

import sys

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.drivers.connecting import Conn, connect
from durable.drivers.faults import translated
from durable.errors import UsageError
from durable.store import migrations


@click.command(cls=Command, epilog="durable migrate --dry-run\ndurable migrate")
@click.option("--target", type=int, metavar="N", help="The schema version to go to; the latest when not given.")
@click.option("--dry-run", is_flag=True, help="Only say which steps would be taken.")
@click.option("--yes", is_flag=True, help="Go down without being asked.")
@click.pass_obj
def migrate(invocation: Invocation, target: int | None, dry_run: bool, yes: bool) -> None:
    """Bring the database schema to the version of this durable.

    With a --target below the current version it goes down, which deletes what the taken-back steps had made. It asks
    before it does that, and where nobody can answer it wants --yes.
    """
    with connect(_url(invocation)) as connection, translated():
        if not dry_run and not yes:
            _confirm_loss(connection, target)
        steps = migrations.migrate(connection, target, dry_run)
    for step in steps:
        click.echo(f"{'would apply' if dry_run else 'applied'} {step}")
    if not steps:
        click.echo("nothing to do", err=True)


def _url(invocation: Invocation) -> str:
    """Not `invocation.database_url`: that migrates an embedded server, and here the user decides."""
    if invocation.config.database_url:
        return invocation.config.database_url
    from durable.embedded import EmbeddedServer

    return EmbeddedServer().ensure_running()


def _confirm_loss(connection: Conn, target: int | None) -> None:
    """Raises UsageError when there is something to lose and nobody to ask, Abort when the answer is no."""
    steps = migrations.migrate(connection, target, dry_run=True)
    down = [f"{step.migration.version:04}_{step.migration.name}" for step in steps if not step.upwards]
    if not down:
        return
    loss = f"going down to version {target} takes back {', '.join(down)} and deletes what the database holds of it"
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(f"{loss}\n`--yes` does it without being asked, `--dry-run` only shows the steps")
    click.confirm(f"{loss[0].upper()}{loss[1:]}. Go on?", abort=True, err=True)
