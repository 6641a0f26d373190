"""`durable version` and `durable --version`."""

from __future__ import annotations

import click

from durable.cli.options import Command
from durable.version import __version__


def print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """What --version does."""
    if value and not ctx.resilient_parsing:
        click.echo(f"durable {__version__}")
        ctx.exit()


@click.command(cls=Command, epilog="durable version")
def version() -> None:
    """Print the version."""
    click.echo(f"durable {__version__}")
