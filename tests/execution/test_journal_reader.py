"""What running tasks read: pages of journals, notifications, states of other tasks; many at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from durable.journal.faults import JournalUnavailable
from durable.journal.part import JournalPart
from durable.model import Event, TaskState
from durable.store import journal as journal_module
from durable.store.journal import PAGE_BYTES, JournalReader
from tests.execution.tables import Tables
from tests.execution.writing import append, part, session

T = TypeVar("T")


def read(url: str, ask: Callable[[JournalReader], Awaitable[T]]) -> T:
    async def main() -> T:
        async with session(url) as connection:
            return await ask(JournalReader(connection))

    return asyncio.run(main())


def test_a_journal_is_read_in_pages_from_any_index(
    journal_url: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "HISTORY_PAGE", 3)
    worker = tables.worker()
    task = tables.task(worker)
    append(journal_url, worker, part(task, events=7))

    def page(first: int) -> list[int]:
        return [event.index for event in read(journal_url, lambda reader: reader.events(task, first))]

    assert [page(first) for first in (0, 3, 6, 7)] == [[0, 1, 2], [3, 4, 5], [6], []]
    [event] = read(journal_url, lambda reader: reader.events(task, 6))
    assert event == Event(6, "label 6", "6")


def test_a_page_is_as_small_as_its_events_are_large(journal_url: str, tables: Tables) -> None:
    """A thousand events may be of 4 MiB each: a page has its first event and others up to its bytes."""
    worker = tables.worker()
    task, other = tables.task(worker), tables.task(worker)
    half = f'"{secrets.token_hex(PAGE_BYTES // 4)}"'  # of a page, and nothing that could be compressed
    large = [Event(index, "x", half) for index in range(5)]
    append(journal_url, worker, JournalPart(task, 1, events=large), JournalPart(other, 1, events=large))

    async def ask(reader: JournalReader) -> None:
        assert [event.index for event in await reader.events(task, 0)] == [0, 1]
        assert [event.index for event in await reader.events(task, 3)] == [3, 4]
        pages = await asyncio.gather(reader.events(task, 0), reader.events(other, 0), reader.events(task, 4))
        assert [event.index for event in pages[1]] == [0]

    read(journal_url, ask)


def test_as_many_notifications_are_looked_at_as_a_page_has_room_for(journal_url: str, tables: Tables) -> None:
    task = tables.task(tables.worker())
    for number in range(3):
        tables.notify(task, str(number), f'"{secrets.token_hex(PAGE_BYTES // 4)}"')
    seen = read(journal_url, lambda reader: reader.notifications(task))
    assert [one.event for one in seen] == ["0", "1"]


def test_many_readers_at_once_get_their_own_answers(journal_url: str, tables: Tables) -> None:
    worker = tables.worker()
    tasks = [tables.task(worker) for _ in range(5)]
    append(journal_url, worker, *[part(task, events=count) for count, task in enumerate(tasks)])
    for count, task in enumerate(tasks):
        for number in range(count):
            tables.notify(task, f"{count}.{number}")

    async def ask(reader: JournalReader) -> None:
        events, notifications, states = await asyncio.gather(
            asyncio.gather(*[reader.events(task, 0) for task in tasks]),
            asyncio.gather(*[reader.notifications(task) for task in tasks]),
            asyncio.gather(*[reader.task_state(task) for task in tasks]),
        )
        assert [len(page) for page in events] == [0, 1, 2, 3, 4]
        for count, page in enumerate(notifications):
            assert [one.event for one in page] == [f"{count}.{number}" for number in range(count)]
        assert states == [TaskState.ACTIVE] * 5

    read(journal_url, ask)


def test_the_state_of_a_task_that_does_not_exist_is_none(journal_url: str) -> None:
    async def ask(reader: JournalReader) -> None:
        for task in (0, -1, 2**62, 2**63 - 1, -(2**63)):
            assert await reader.task_state(task) is None

    read(journal_url, ask)


def test_only_tasks_with_something_to_take_are_notified(journal_url: str, tables: Tables) -> None:
    tasks = [tables.task(state="suspended") for _ in range(3)]
    tables.notify(tasks[1])
    assert read(journal_url, lambda reader: reader.notified(tasks)) == [tasks[1]]


def test_the_data_of_a_task_is_read_up_to_a_limit_of_its_text(journal_url: str, tables: Tables) -> None:
    numbers = "[" + "1, " * 9_999 + "1]"  # stored in four times as many bytes
    for data in (
        f'"{"x" * 99_998}"',
        f'"{"é" * 49_999}"',
        f'"{secrets.token_hex(49_999)}"',
        numbers,
        "1" + "0" * 99_999,
    ):
        task = tables.task()
        tables.value("UPDATE durable.task SET data = %s WHERE id = %s RETURNING id", data, task)
        size = len(data.encode())
        assert read(journal_url, lambda reader: reader.task_data(task, size)) == data  # noqa: B023
        assert read(journal_url, lambda reader: reader.task_data(task, size - 1)) is None  # noqa: B023


def test_data_of_a_gigabyte_is_too_large_and_not_the_databases_fault(
    journal_url: str, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand times 1e131071 is stored in a kilobyte, and no text can be made of it. This error is the same."""
    monkeypatch.setattr(journal_module, "_QUERIES", {"task_data": "SELECT repeat('x', 2000000000)"})
    assert read(journal_url, lambda reader: reader.task_data(tables.task(), 1000)) is None


def test_the_data_of_a_task_that_is_gone_is_not_there(journal_url: str) -> None:
    with pytest.raises(JournalUnavailable, match="the task is not there any more"):
        read(journal_url, lambda reader: reader.task_data(2**40, 1000))
