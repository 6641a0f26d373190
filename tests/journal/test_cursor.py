"""The replay rule: a run that was cut anywhere and taken up again is the run that was never cut."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.journal.cursor import BrokenJournal, Cursor, Divergence
from durable.journal.label_text import without_user
from durable.model import Event

Journal = list[Event]


def journal_of(*labels: str) -> Journal:
    return [Event(index, label, f'"{index} {label}"') for index, label in enumerate(labels)]


def cursor_with(journal: Journal) -> Cursor:
    cursor = Cursor(len(journal))
    if journal:
        cursor.add_page(journal)
    return cursor


# -- programs --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Program:
    """A deterministic guest: what it asks for next depends on all the answers that it got."""

    steps: int
    salt: int

    def asks(self, answers: list[str]) -> str | None:
        if len(answers) == self.steps:
            return None
        return "abcde"[zlib.crc32(repr((self.salt, answers)).encode()) % 5]


def run(program: Program, journal: Journal, page: int, live: Callable[[str], str]) -> tuple[list[str], Journal]:
    """Run the program as a host does: its answers, and the journal as it is afterwards."""
    cursor, journal, answers = Cursor(len(journal)), list(journal), list[str]()
    while (label := program.asks(answers)) is not None:
        if cursor.needs_page:
            cursor.add_page(journal[cursor.index : cursor.index + page])
        before = cursor.index
        value = cursor.replay(label)
        if value is None:
            value = live(label)
            journal.append(Event(cursor.record(), label, value))
        assert cursor.index == before + 1, "an answer that does not advance the index"
        answers.append(value)
    return answers, journal


def numbers_from(first: int) -> Callable[[str], str]:
    """A world whose answers differ from call to call, as clocks do."""
    count: Iterator[int] = iter(range(first, 10**9))
    return lambda label: f"{next(count)}"


def no_world(label: str) -> str:
    raise AssertionError(f"{label} was done again, outside of the journal")


PROGRAMS = st.builds(Program, st.integers(0, 30), st.integers())
PAGES = st.integers(1, 8)


@given(program=PROGRAMS, page=PAGES, cut=st.integers(0, 30))
def test_a_run_that_is_cut_and_taken_up_again_is_the_run_that_was_never_cut(
    program: Program, page: int, cut: int
) -> None:
    answers, journal = run(program, [], page, numbers_from(0))
    kept = journal[:cut]
    assert run(program, kept, page, numbers_from(len(kept))) == (answers, journal)


@given(program=PROGRAMS, page=PAGES, cuts=st.lists(st.integers(0, 30), max_size=5))
def test_what_was_recorded_before_a_crash_is_never_answered_differently(
    program: Program, page: int, cuts: list[int]
) -> None:
    journal: Journal = []
    for attempt, cut in enumerate(cuts):
        answers, whole = run(program, journal, page, numbers_from(1000 * attempt))
        assert whole[: len(journal)] == journal
        assert answers == [event.value for event in whole]
        journal = whole[: max(cut, len(journal))]


@given(program=PROGRAMS, page=PAGES)
def test_a_whole_journal_answers_everything(program: Program, page: int) -> None:
    answers, journal = run(program, [], page, numbers_from(0))
    assert run(program, journal, page, no_world) == (answers, journal)


@given(program=PROGRAMS)
def test_indexes_are_dense_from_zero(program: Program) -> None:
    _, journal = run(program, [], 1, numbers_from(0))
    assert [event.index for event in journal] == list(range(program.steps))


# -- one call --------------------------------------------------------------------------------------------------------
def test_an_empty_journal_is_live_from_the_start() -> None:
    cursor = Cursor(0)
    assert not cursor.needs_page
    assert cursor.replay("a") is None
    assert cursor.index == 0, "a live call has its index only once it is recorded"
    assert [cursor.record(), cursor.record()] == [0, 1]
    assert (cursor.index, cursor.length) == (2, 2)


def test_recorded_calls_come_first_and_then_live_ones() -> None:
    cursor = cursor_with(journal_of("a", "b"))
    assert cursor.replay("a") == '"0 a"'
    assert cursor.replay("b") == '"1 b"'
    assert cursor.replay("c") is None
    assert cursor.record() == 2


def test_a_live_call_while_recorded_events_are_left_is_a_mistake_of_the_host() -> None:
    cursor = cursor_with(journal_of("a"))
    with pytest.raises(RuntimeError, match="recorded events are left"):
        cursor.record()
    assert cursor.index == 0


# -- divergence ------------------------------------------------------------------------------------------------------
def test_another_label_is_a_divergence_with_the_words_of_the_contract() -> None:
    cursor = cursor_with(journal_of("x", "x", "x", "a"))
    for _ in range(3):
        cursor.replay("x")
    with pytest.raises(Divergence) as caught:
        cursor.replay("b")
    assert str(caught.value) == (
        'workflow execution is non-deterministic: stored event at index 3 has label "a" but the workflow requested "b"'
    )


@given(journal=st.lists(st.sampled_from("abc"), min_size=1, max_size=10), at=st.integers(0, 9), wrong=st.text())
def test_a_divergence_leaves_the_cursor_where_it_is(journal: list[str], at: int, wrong: str) -> None:
    events = journal_of(*journal)
    at = min(at, len(events) - 1)
    cursor = cursor_with(events)
    for event in events[:at]:
        cursor.replay(event.label)
    if wrong != events[at].label:
        for _ in range(2):
            with pytest.raises(Divergence):
                cursor.replay(wrong)
            assert (cursor.index, cursor.length) == (at, len(events))
    assert [cursor.replay(event.label) for event in events[at:]] == [event.value for event in events[at:]]


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("durable::http::send(GET https://me:s3cr3t@shop.example/a@b)", "durable::http::send(GET https://shop.example/a@b)"),
        ("durable::http::send(PUT http://t0k3n@[::1]:80)", "durable::http::send(PUT http://[::1]:80)"),
        ("durable::http::send(GET http://a@b@h?c@d)", "durable::http::send(GET http://h?c@d)"),
        ("durable::http::send(GET http://h/?at=a@b)", "durable::http::send(GET http://h/?at=a@b)"),
        ("tell http://me:s3cr3t@shop.example/", "tell http://me:s3cr3t@shop.example/"),
    ],
)  # fmt: skip
def test_a_request_is_replayed_whether_its_label_was_recorded_with_its_user_or_without(label: str, shown: str) -> None:
    assert without_user(label) == shown
    for recorded in (label, shown):
        assert cursor_with(journal_of(recorded)).replay(shown) == f'"0 {recorded}"'


def test_a_divergence_tells_no_user_of_a_recorded_request() -> None:
    cursor = cursor_with(journal_of("durable::http::send(GET https://me:s3cr3t@shop.example/)"))
    with pytest.raises(Divergence, match=r'label "durable::http::send\(GET https://shop\.example/\)"'):
        cursor.replay("b")


# -- pages -----------------------------------------------------------------------------------------------------------
def test_a_page_is_asked_for_exactly_when_there_is_none_left_of_a_recorded_history() -> None:
    events = journal_of("a", "b", "c")
    cursor = Cursor(3)
    needs = [cursor.needs_page]
    for page in (events[:2], [], events[2:]):
        if page:
            cursor.add_page(page)
            needs.append(cursor.needs_page)
        cursor.replay("abc"[cursor.index])
        needs.append(cursor.needs_page)
    assert needs == [True, False, False, True, False, False]


def test_an_empty_page_is_never_the_end_of_a_journal() -> None:
    cursor = Cursor(3)
    with pytest.raises(BrokenJournal, match="has 3 events but none at index 0"):
        cursor.add_page([])
    cursor.add_page(journal_of("a", "b"))
    cursor.replay("a")
    cursor.replay("b")
    with pytest.raises(BrokenJournal, match="none at index 2"):
        cursor.add_page([])
    assert cursor.index == 2


@given(length=st.integers(1, 12), data=st.data())
def test_missing_doubled_or_swapped_events_break_the_journal(length: int, data: st.DataObject) -> None:
    events = journal_of(*["a"] * length)
    shuffled = data.draw(st.lists(st.sampled_from(events), min_size=1, max_size=length))
    cursor = Cursor(length)
    if shuffled == events[: len(shuffled)]:
        cursor.add_page(shuffled)
        assert cursor.replay("a") == events[0].value
    else:
        with pytest.raises(BrokenJournal, match="no event at index"):
            cursor.add_page(shuffled)
        assert cursor.index == 0
        assert cursor.needs_page, "some of a broken page was kept"


def test_a_gap_between_two_pages_breaks_the_journal() -> None:
    events = journal_of("a", "b", "c", "d")
    cursor = Cursor(4)
    cursor.add_page(events[:1])
    with pytest.raises(BrokenJournal, match=r"no event at index 1 \(next is 2\)"):
        cursor.add_page(events[2:])
    cursor.add_page(events[1:])
    assert [cursor.replay(label) for label in "abcd"] == [event.value for event in events]
