"""`durable completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from durable.cli.options import Command


@click.command(cls=Command, epilog='eval "$(durable completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands and options."""
    completes = get_completion_class(shell)
    if completes is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(completes(ctx.find_root().command, {}, "durable", "_DURABLE_COMPLETE").source())
