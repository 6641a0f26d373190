"""Kinds of command line values."""

from __future__ import annotations

import click

from durable.quantity import duration

TASK_ID = click.IntRange(min=0)


def seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The callback of an option whose value is a duration such as 10, 10s or 5m."""
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a duration: {error}") from None
