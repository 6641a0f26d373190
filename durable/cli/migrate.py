"""`durable migrate`."""

from __future__ import annotations

import sys

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command
from durable.drivers.connecting import Conn, connect
from durable.drivers.faults import translated
from durable.store import migrations


@click.command(cls=Command, epilog="durable migrate --dry-run\ndurable migrate")
@click.option("--target", type=int, metavar="N", help="The schema version to go to; the latest when not given.")
@click.option("--dry-run", is_flag=True, help="Only say which steps would be taken.")
@click.pass_obj
def migrate(invocation: Invocation, target: int | None, dry_run: bool) -> None:
    """Bring the schema of the database to the version that this durable needs.

    With a --target below the current version it goes down, which deletes what the taken-back steps had made.
    """
    with connect(_url(invocation)) as connection, translated():
        if not dry_run:
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
    down = [step for step in migrations.migrate(connection, target, dry_run=True) if not step.upwards]
    if down and sys.stdin.isatty():
        click.confirm(f"This takes back {down[0]} and what it holds. Go on?", abort=True, err=True)
