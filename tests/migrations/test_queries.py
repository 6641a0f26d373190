"""Named queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.store import queries

GOOD = """-- Text about the file.

-- name: first
-- What it is for.
-- 100 % of it.
SELECT 1;

-- name: second_2
-- What it is for.

SELECT 2 -- said within
;
"""


def test_every_file_can_be_loaded() -> None:
    folder = Path(queries.__file__).parent / "queries"
    names = [file.stem for file in folder.glob("*.sql")]

    assert {"task", "program", "event", "log", "notification", "worker_list"} <= set(names)
    for name in names:
        assert queries.load(name)


def test_a_query_is_found_by_its_name_without_its_comment() -> None:
    assert queries.parse(GOOD, "good") == {"first": "SELECT 1", "second_2": "SELECT 2 -- said within\n"}


def test_a_query_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(KeyError, match=r"log\.sql has no query named 'nonsense', only \['page', 'reason'\]"):
        queries.load("log")["nonsense"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SELECT 1;", "holds no query"),
        ("-- name: a\nSELECT 1;", "'a': the comment that says what it is for is missing"),
        ("-- name: a\n-- why\nSELECT 1", "the ; at its end"),
        ("-- name: a\n-- why\n", "the statement is missing"),
        ("-- name: A b\n-- why\nSELECT 1;", "holds no query"),
        ("-- name: A\n-- why\nSELECT 1;", "small letters"),
        ("-- name: a\n-- why\nSELECT 1;\n-- name: a\n-- why\nSELECT 2;", "there twice"),
    ],
)
def test_a_file_that_is_not_of_the_form_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        queries.parse(text, "bad")
