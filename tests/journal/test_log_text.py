"""What a guest printed is stored up to a cap, cut between two characters, and says how much is missing."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.journal.log_text import LogText, TextDecoder, cut_log, made_storable

TEXTS = st.text(st.sampled_from("ab\né€😀") | st.characters(exclude_categories=["Cs"]), max_size=12)


def collected(writes: list[str], limit: int) -> str:
    log = LogText(limit)
    for text in writes:
        log.add(text)
    return str(log)


def marker(missing: int, limit: int) -> str:
    return f"\n[durable: {missing} bytes of log text are missing here, the limit is {limit}]\n"


def longest_prefix(text: str, limit: int) -> str:
    """Of at most `limit` bytes."""
    while len(text.encode()) > limit:
        text = text[:-1]
    return text


@given(writes=st.lists(TEXTS, max_size=6), limit=st.integers(0, 60))
def test_text_is_kept_up_to_the_limit_and_the_rest_is_counted(writes: list[str], limit: int) -> None:
    whole = "".join(writes)
    kept = longest_prefix(whole, limit)
    missing = len(whole.encode()) - len(kept.encode())
    assert collected(writes, limit) == kept + (marker(missing, limit) if missing else "")


@given(text=TEXTS, limit=st.integers(0, 40))
def test_a_text_is_cut_like_one_that_came_in_one_write(text: str, limit: int) -> None:
    assert cut_log(text, limit) == collected([text], limit)


def test_text_that_fills_the_limit_exactly_is_whole() -> None:
    assert cut_log("a" * 100, 100) == "a" * 100
    assert collected(["a" * 60, "b" * 40], 100) == "a" * 60 + "b" * 40


def test_one_byte_more_than_the_limit_is_missing_and_counted() -> None:
    assert cut_log("a" * 101, 100) == "a" * 100 + marker(1, 100)
    assert collected(["a" * 60, "b" * 41], 100) == "a" * 60 + "b" * 40 + marker(1, 100)


@pytest.mark.parametrize(("character", "width"), [("é", 2), ("€", 3), ("😀", 4)])
def test_a_character_that_does_not_fit_whole_is_left_out_whole(character: str, width: int) -> None:
    for room in range(width):
        assert cut_log("ab" + character + "c", 2 + room) == "ab" + marker(width + 1, 2 + room)
    assert cut_log("ab" + character + "c", 2 + width) == "ab" + character + marker(1, 2 + width)


def test_what_comes_after_a_cut_is_only_counted_even_if_it_would_fit() -> None:
    assert collected(["aa", "€", "b", "c"], 4) == "aa" + marker(5, 4)


def test_a_hundred_megabytes_take_no_more_memory_than_the_limit() -> None:
    log = LogText(1000)
    for _ in range(100):
        log.add("x" * 1_000_000)
    assert str(log) == "x" * 1000 + marker(99_999_000, 1000)
    assert [len(part) for part in log._kept] == [1000]


def test_nothing_printed_is_an_empty_text() -> None:
    assert collected([], 10) == collected(["", ""], 0) == ""


# -- bytes -----------------------------------------------------------------------------------------------------------
@given(text=TEXTS, cuts=st.lists(st.integers(0, 50), max_size=6))
def test_characters_split_over_writes_are_put_together_again(text: str, cuts: list[int]) -> None:
    data, decoder = text.encode(), TextDecoder()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [decoder.decode(data[a:b]) for a, b in itertools.pairwise(bounds)]
    assert "".join(parts) == text.replace("\0", "\ufffd")


def test_a_character_written_byte_by_byte_appears_with_its_last_byte() -> None:
    decoder = TextDecoder()
    assert [decoder.decode(bytes((byte,))) for byte in "😀".encode()] == ["", "", "", "😀"]


@given(writes=st.lists(st.binary(max_size=8), max_size=8))
def test_any_bytes_become_text_that_can_be_stored(writes: list[bytes]) -> None:
    decoder = TextDecoder()
    text = "".join(decoder.decode(data) for data in writes)
    assert not re.search("[\0\ud800-\udfff]", text)
    whole = b"".join(writes).decode("utf-8", "replace").replace("\0", "\ufffd")
    assert whole.startswith(text)
    assert whole[len(text) :] in ("", "\ufffd"), "only the beginning of a character may still be held back"


def test_bytes_that_are_no_text_are_replaced_one_by_one() -> None:
    assert TextDecoder().decode(b"a\xffb\xc3(\xed\xa0\x80\0") == "a\ufffdb\ufffd(\ufffd\ufffd\ufffd\ufffd"


def test_what_no_database_can_hold_is_replaced() -> None:
    assert made_storable("a\0b\ud800c\udfffd") == "a\ufffdb\ufffdc\ufffdd"
    assert made_storable("grüße 😀") == "grüße 😀"
