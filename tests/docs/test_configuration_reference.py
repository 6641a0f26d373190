"""docs/configuration.md has every key with its default and its bounds."""

from __future__ import annotations

import re

import pytest

from durable.config import KEYS, Key
from durable.store import queries
from tests.docs.documents import ROOT

_ROW = re.compile(r"^\| `(\w+)` \|(.*?)\|(.*?)\|(.*?)\|$", re.MULTILINE)
ROWS = {
    row[0]: [cell.strip() for cell in row[1:]] for row in _ROW.findall((ROOT / "docs" / "configuration.md").read_text())
}

# Where the default is not one value but a rule, the words for it.
IN_WORDS = {
    "database_url": "none",
    "guest_database_url": "none",
    "plugins": "all installed",
    "cache_folder": "`durable` in `$XDG_CACHE_HOME` (`~/.cache`)",
    **dict.fromkeys(("http_idempotency_header", "egress_allow", "egress_deny", "egress_proxy", "log_file"), "none"),
}

every_key = pytest.mark.parametrize("key", KEYS.values(), ids=lambda key: key.name)


def test_the_keys_are_documented_in_their_order_and_no_others() -> None:
    assert list(ROWS) == list(KEYS)


@every_key
def test_the_default_is_documented(key: Key) -> None:
    assert ROWS[key.name][0] == IN_WORDS.get(key.name) or ROWS[key.name][0] == f"`{key.kind.show(key.default)}`"


@every_key
def test_the_bounds_are_documented(key: Key) -> None:
    allowed = ROWS[key.name][1]
    assert ("from `" in allowed) == (key.least is not None)
    assert ("to `" in allowed) == (key.most is not None)
    for bound in (key.least, key.most):
        assert bound is None or f"`{key.kind.show(bound)}`" in allowed


# What happens beyond a limit, or what it counts: the words that the reference and the help have in common.
CONSEQUENCES = ("fails the task", "sender gets an error", "rest is cut", "before it is killed", "deletes at most")


@every_key
def test_the_help_says_of_a_limit_what_the_reference_says(key: Key) -> None:
    for words in CONSEQUENCES:
        assert (words in key.doc) == (words in ROWS[key.name][2]), words


def test_the_clean_up_is_limited_by_what_it_deletes() -> None:
    """Journal, log and notifications go with a task by ON DELETE CASCADE: its statement counts tasks."""
    statement = queries.load("sweep")["delete_ended_tasks"]
    assert re.search(r"SELECT id FROM durable\.task\s.* LIMIT %\(limit\)s", statement, re.DOTALL)
    assert KEYS["cleanup_batch_limit"].doc.startswith("Tasks that ")
    assert ROWS["cleanup_batch_limit"][2].startswith("tasks that ")


@pytest.mark.parametrize("key", [key for key in KEYS.values() if "|" in key.kind.name], ids=lambda key: key.name)
def test_the_choices_are_documented(key: Key) -> None:
    assert ROWS[key.name][1] == ", ".join(f"`{choice}`" for choice in key.kind.name.split("|"))


def test_the_limits_in_the_guarantees_name_keys_with_their_defaults() -> None:
    limits = (ROOT / "docs" / "guarantees.md").read_text().partition("## Limits")[2]
    named = re.findall(r"\| `(\w+)` \| ([^|]+?) \|", limits)
    assert named
    for name, default in named:
        key = KEYS[name]
        assert key.read(_as_written(default)) == key.default, name


def _as_written(text: str) -> object:
    """`7 days` or `4 MiB` or `1000, at most 5000` as a value of the configuration."""
    first = text.partition(",")[0].replace(" days", "d").replace(" hours", "h").replace(" ", "")
    return int(first) if first.isdigit() else first
