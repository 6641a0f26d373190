"""docs/python-client.md names what the client can do and what it raises, and nothing else."""

from __future__ import annotations

import inspect
import re

import durable
from tests.docs.documents import ROOT, sections

_SECTIONS = dict(sections(ROOT / "docs" / "python-client.md", 2))


def names(section: str) -> set[str]:
    """Those in the first column of the section's table, without arguments."""
    rows = re.findall(r"^\| (`.*?) \|", _SECTIONS[section], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)", row)}


def test_every_method_is_described() -> None:
    methods = inspect.getmembers(durable.Client, inspect.isfunction)
    assert names("Methods") == {name for name, _ in methods if not name.startswith("_")} - {"close"}


def test_every_error_that_can_be_caught_is_described() -> None:
    offered = {name: getattr(durable, name) for name in durable.__all__}
    errors = {name for name, one in offered.items() if isinstance(one, type) and issubclass(one, durable.DurableError)}
    assert names("Errors") == errors - {"DurableError"}


def test_every_error_of_a_library_is_offered() -> None:
    """All but the one that only the command line raises."""
    errors = {name for name, _ in inspect.getmembers(durable.errors, inspect.isclass)}
    assert errors - set(durable.__all__) == {"UsageError"}
