"""Journals in the database, for the worker that holds the leases of their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from durable.journal.faults import JournalUnavailable, Unstorable
from durable.journal.part import JournalPart, TaskChange
from durable.model import Event, Notification, TaskState
from durable.store.coalesce import Coalescer
from durable.store.problems import RETRYABLE, journal_fault, unavailable
from durable.store.queries import load
from durable.store.session import Connection, Session

_QUERIES = load("journal")
_ATTEMPTS = 5
#: Events of one task read at once: few enough for a quick start, enough for a journal of 10,000 in 10 queries.
HISTORY_PAGE = 1000
#: Bytes of all the pages of one query, as the database stores them: a thousand events may be of 4 MiB each.
PAGE_BYTES = 8 << 20


class JournalStore:
    """Appends parts; one batch is one transaction. `worker_id` is that of the leases."""

    def __init__(self, session: Session, worker_id: int) -> None:
        self._session = session
        self._worker_id = worker_id

    async def append(self, parts: Sequence[JournalPart]) -> set[int]:
        """Write the parts whose lease holds; the ids of their tasks.

        Raises JournalUnavailable when it is unknown whether anything was written, Unstorable when nothing was, because
        the database refuses a value.
        """
        parameters = append_parameters(parts, self._worker_id)
        suspended = [part.task_id for part in parts if _waits_for_notification(part.change)]
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with self._session.use() as connection:
                    return await self._append(connection, parameters, suspended)
            except RETRYABLE as error:
                if attempt == _ATTEMPTS:
                    raise journal_fault(error) from None
            except psycopg.Error as error:
                raise journal_fault(error) from None
            except UnicodeError as error:
                # Found while the statement is put together: nothing was sent.
                raise Unstorable(f"the database refuses what the workflow recorded: {error}") from None
        raise AssertionError("unreachable")

    async def _append(self, connection: Connection, parameters: dict[str, Any], suspended: list[int]) -> set[int]:
        if not suspended:
            cursor = await connection.execute(_QUERIES["append"], parameters, prepare=True)
            return {row[0] for row in await cursor.fetchall()}
        async with connection.transaction():
            cursor = await connection.execute(_QUERIES["append"], parameters, prepare=True)
            held = {row[0] for row in await cursor.fetchall()}
            await connection.execute(_QUERIES["wake_notified"], {"task": suspended}, prepare=True)
        return held


class JournalReader:
    """Reads for running tasks. Every failure is a JournalUnavailable: missing history is never empty history."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._events = Coalescer(self._fetch_events)
        self._notifications = Coalescer(self._fetch_notifications)
        self._task_states = Coalescer(self._fetch_task_states)
        self._data_turn = asyncio.Lock()

    async def events(self, task_id: int, first: int) -> list[Event]:
        return await self._events.get((task_id, first))

    async def notifications(self, task_id: int) -> list[Notification]:
        return await self._notifications.get(task_id)

    async def task_state(self, task_id: int) -> TaskState | None:
        return await self._task_states.get(task_id) if -(2**63) <= task_id < 2**63 else None

    async def task_data(self, task_id: int, limit: int) -> str | None:
        """One after the other, so that no more than one is on its way, and other reads come in between."""
        try:
            async with self._data_turn, self._session.use() as connection:
                cursor = await connection.execute(_QUERIES["task_data"], {"task": task_id, "limit": limit})
                row = await cursor.fetchone()
        except psycopg.errors.ProgramLimitExceeded:  # longer than any text can be
            return None
        except psycopg.Error as error:
            raise unavailable(error) from None
        if row is None:
            raise JournalUnavailable("the task is not there any more")
        text: str | None = row[0]
        return text

    async def _fetch_events(self, requests: Sequence[tuple[int, int]]) -> list[list[Event]]:
        tasks, firsts = [task for task, _ in requests], [first for _, first in requests]
        pages_of = {"tasks": tasks, "firsts": firsts, "limit": HISTORY_PAGE, "bytes": PAGE_BYTES // len(requests)}
        rows = await self._fetch("events", pages_of)
        pages: list[list[Event]] = [[] for _ in requests]
        for position, index, label, value in rows:
            pages[position - 1].append(Event(index, label, value))
        return pages

    async def _fetch_notifications(self, tasks: Sequence[int]) -> list[list[Notification]]:
        pages: list[list[Notification]] = [[] for _ in tasks]
        pages_of = {"tasks": list(tasks), "bytes": PAGE_BYTES // len(tasks)}
        for position, *columns in await self._fetch("pending_notifications", pages_of):
            pages[position - 1].append(Notification(*columns))
        return pages

    async def _fetch_task_states(self, tasks: Sequence[int]) -> list[TaskState | None]:
        states: list[TaskState | None] = [None] * len(tasks)
        for position, state in await self._fetch("task_states", {"tasks": list(tasks)}):
            states[position - 1] = TaskState(state)
        return states

    async def notified(self, task_ids: Sequence[int]) -> list[int]:
        """Which of the waiting tasks have a notification to take."""
        return [row[0] for row in await self._fetch("notified_tasks", {"tasks": list(task_ids)})]

    async def _fetch(self, query: str, parameters: dict[str, Any]) -> list[TupleRow]:
        try:
            async with self._session.use() as connection:
                cursor = await connection.execute(_QUERIES[query], parameters, prepare=True)
                return await cursor.fetchall()
        except psycopg.Error as error:
            raise unavailable(error) from None


def _waits_for_notification(change: TaskChange | None) -> bool:
    return change is not None and change.state is TaskState.SUSPENDED and change.wakes_on_notification


def append_parameters(parts: Sequence[JournalPart], worker_id: int) -> dict[str, Any]:
    events = [(part.task_id, event) for part in parts for event in part.events]
    logs = [(part.task_id, index, text) for part in parts for index, text in part.logs]
    sent = [(part.task_id, message) for part in parts for message in part.sent]
    taken = [(part.task_id, id_) for part in parts for id_ in part.taken]
    changes = [part.change for part in parts]
    return {
        "worker": worker_id,
        "task": [part.task_id for part in parts],
        "lease": [part.lease for part in parts],
        "event_task": [task for task, _ in events],
        "event_index": [event.index for _, event in events],
        "event_label": [event.label for _, event in events],
        "event_values": f"[{','.join([event.value for _, event in events])}]",
        "log_task": [task for task, _, _ in logs],
        "log_index": [index for _, index, _ in logs],
        "log_message": [text for _, _, text in logs],
        "taken_task": [task for task, _ in taken],
        "taken_id": [id_ for _, id_ in taken],
        "sent_task": [task for task, _ in sent],
        "sent_target": [message.target for _, message in sent],
        "sent_event": [message.event for _, message in sent],
        "sent_data": [message.data for _, message in sent],
        "change_state": [change and change.state.value for change in changes],
        "change_wakeup": [change and change.wakeup_at for change in changes],
        "change_wakes": [change and change.wakes_on_notification for change in changes],
        "change_wait_index": [change and change.wait_index for change in changes],
        "change_wait_until": [change and change.wait_until for change in changes],
    }
