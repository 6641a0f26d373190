"""`durable program`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command, Group
from durable.cli.output import print_rows, timestamp
from durable.model import Program


@click.group(cls=Group, no_args_is_help=False, epilog="durable program add hello-world.wasm\ndurable program list")
def program() -> None:
    """Store programs (WebAssembly components), list them, remove them."""


@program.command(cls=Command, epilog="durable program add build/order.wasm --name order")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", metavar="N", help="The name to launch it by; the file's name when not given.")
@click.pass_obj
def add(invocation: Invocation, file: Path, name: str | None) -> None:
    """Check a component and store it, and print its hash.

    A component that imports what the host does not provide is not stored; the imports are named.
    """
    click.echo(invocation.client.program(file, name).hash)


@program.command("list", cls=Command, epilog="durable program list\ndurable program list -o json")
@click.pass_obj
def list_programs(invocation: Invocation) -> None:
    """Print the stored programs, the newest first."""
    is_table = invocation.output == "table"
    rows = [_row(one, is_table) for one in invocation.client.programs()]
    print_rows(rows, invocation.output, ["hash", "name", "size", "last_used"])


@program.command(cls=Command, epilog="durable program rm 3f9a41c0d2")
@click.argument("hash")
@click.pass_obj
def rm(invocation: Invocation, hash: str) -> None:
    """Remove a program that no task uses, by its hash, the beginning of its hash, or its name."""
    gone = invocation.client.remove_program(hash)
    click.echo(f"removed {gone.hash}")


def _row(one: Program, is_table: bool) -> dict[str, Any]:
    return {
        "hash": one.hash[:12] if is_table else one.hash,
        "name": one.name,
        "size": _about(one.size) if is_table else one.size,
        "last_used": timestamp(one.last_used),
    }


def _about(size: int) -> str:
    return f"{size / 1024:.0f} KiB"
