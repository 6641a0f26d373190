"""Kinds of command line values."""

from __future__ import annotations

import click

from durable.operations.data import Json
from durable.quantity import duration


class _TaskId(click.IntRange):
    """click would speak of an integer range."""

    name = "task id"


TASK_ID = _TaskId(min=0)
TASK_IDS = click.argument("task_ids", metavar="ID...", type=TASK_ID, nargs=-1, required=True)

#: Text as it is, which a shell completes with the names of files. Whoever reads the file says what is wrong with it.
FILE = click.Path(readable=False)


def seconds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """The callback of an option whose value is a duration such as 10, 10s or 5m."""
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a duration: {error}") from None


def json_or_file(ctx: click.Context, parameter: click.Parameter, value: str) -> Json:
    """The callback of JSON, which may be @ and the file that it is in.

    A command line takes 128 KiB of it at most, and whoever lists processes sees it.
    """
    if not value.startswith("@"):
        return Json(value)
    try:
        with click.open_file(value[1:], encoding="utf-8") as file:
            return Json(file.read())
    except UnicodeDecodeError:
        raise click.BadParameter(f"{value[1:]} is not UTF-8 text") from None
    except OSError as error:
        raise click.BadParameter(f"cannot read {value[1:]}: {error.strerror}") from None


#: What a task is given, as `data`.
DATA = click.option(
    "--data",
    metavar="JSON",
    callback=json_or_file,
    default="null",
    help="What the task reads; null when not given, @FILE a file.",
)
