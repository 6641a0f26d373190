"""`durable config`."""

from __future__ import annotations

import click

from durable.cli.invocation import Invocation
from durable.cli.options import Command, with_key_options
from durable.cli.output import print_rows
from durable.config import KEYS, Config, Key


@click.command(cls=Command, epilog="durable config\ndurable config --max-tasks 200 -o json")
@click.pass_obj
def config(invocation: Invocation) -> None:
    """Print every configuration key, its value and its source."""
    found = invocation.config
    print_rows([_row(key, found) for key in KEYS.values()], invocation.output, ["key", "value", "source"])


def _row(key: Key, found: Config) -> dict[str, object]:
    value = getattr(found, key.name)
    return {
        "key": key.name,
        "value": None if value is None else key.kind.show(value),
        "source": found.source_of(key.name),
        "variable": key.env,
        "kind": key.kind.name,
        "meaning": key.doc,
    }


with_key_options(config)
