"""Named queries from the `.sql` files in `durable/store/queries/`.

A file holds the queries of one aggregate. Each begins with `-- name: …` and a comment in prose that says why
it is written the way it is:

    -- name: launch
    -- The program row is locked, so that the clean-up cannot take it away in between.
    INSERT INTO …;
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

_HEADER = re.compile(r"^-- name:[ \t]*(\S*)[ \t]*\n", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT = re.compile(r"(?:--.*\n|[ \t]*\n)*")


class Queries(Mapping[str, str]):
    """The queries of one file, by name. Raises KeyError, with the names there are, for any other."""

    def __init__(self, file: str, queries: Mapping[str, str]) -> None:
        self._file = file
        self._queries = dict(queries)

    def __getitem__(self, name: str) -> str:
        try:
            return self._queries[name]
        except KeyError:
            raise KeyError(f"{self._file}.sql has no query named {name!r}, only {sorted(self._queries)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


@cache
def load(file: str) -> Queries:
    """The queries of `durable/store/queries/{file}.sql`, read and checked once.

    Raises FileNotFoundError, or ValueError for a file that is not of the form above.
    """
    text = (files("durable.store") / "queries" / f"{file}.sql").read_text(encoding="utf-8")
    return Queries(file, parse(text, file))


def parse(text: str, file: str) -> dict[str, str]:
    """The queries in the text, by name, without their comments. Raises ValueError, naming file and query."""
    _, *parts = _HEADER.split(text)
    queries: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        comment = _COMMENT.match(body)
        prose, sql = (comment[0], body[comment.end() :].strip()) if comment else ("", "")
        problem = _problem(name, prose, sql, queries)
        if problem:
            raise ValueError(f"{file}.sql, query {name!r}: {problem}")
        queries[name] = sql.removesuffix(";")
    if not queries:
        raise ValueError(f"{file}.sql holds no query")
    return queries


def _problem(name: str, prose: str, sql: str, seen: Mapping[str, str]) -> str | None:
    if not _NAME.fullmatch(name):
        return "a name is made of small letters, digits and _"
    if name in seen:
        return "the name is there twice"
    if not prose.strip(" -\n\t"):
        return "the comment that says what it is for is missing"
    if not sql.endswith(";"):
        return "the statement is missing, or the ; at its end"
    return None
