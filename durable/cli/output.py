"""Rows on stdout: as an aligned table for people, as JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from durable.operations.data import Json

FORMATS = ("table", "json", "jsonl")

#: Values are what JSON knows, or `Json`, whose text is printed as it is: no digit of a number is lost.
Row = Mapping[str, Any]


def print_rows(rows: Sequence[Row], format: str, columns: Sequence[str]) -> None:
    """All rows. A table has these columns; JSON has everything that a row holds."""
    if format == "table":
        _print_table([columns, *([_cell(row[column]) for column in columns] for row in rows)])
    else:
        print_each(rows, format)


def print_each(rows: Iterable[Row], format: str) -> None:
    """Rows as JSON; as lines of it (jsonl) each is printed when it comes."""
    if format == "jsonl":
        for row in rows:
            click.echo(_json(row))
    else:
        click.echo("[" + ",".join(f"\n  {_json(row)}" for row in rows) + "\n]")


def print_one(row: Row, format: str) -> None:
    """One thing: in a table its parts stand below each other, in JSON it is one object."""
    if format == "table":
        _print_table([line for name, value in row.items() for line in _part(name, value)])
    else:
        click.echo(_json(row))


def print_done(said: str, row: Row, format: str) -> None:
    """What a command has done: in words, or in JSON as one object."""
    click.echo(said if format == "table" else _json(row))


def timestamp(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """The text in one line, without what could play tricks on a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _json(row: Row) -> str:
    return "{" + ", ".join(f"{json.dumps(name)}: {_json_value(value)}" for name, value in row.items()) + "}"


def _json_value(value: Any) -> str:
    return value.text if isinstance(value, Json) else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return printable(value if isinstance(value, str) else _json_value(value))


def _part(name: str, value: Any) -> list[tuple[str, str]]:
    """A name and its value; a text of several lines, such as a backtrace, keeps them."""
    cells = [printable(line) for line in value.splitlines()] if isinstance(value, str) else []
    first, *more = cells or [_cell(value)]
    return [(name, first), *(("", cell) for cell in more)]


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)]
        click.echo(_cut("  ".join([*padded, line[-1]]).rstrip(), room))


def _cut(line: str, room: int | None) -> str:
    return line if room is None or len(line) <= room else line[: max(1, room - 1)] + "…"
