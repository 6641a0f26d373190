"""The context of one running task: what every host function works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from durable import metrics
from durable.config import Config
from durable.execution.database import GuestDatabase
from durable.execution.held import Held
from durable.execution.http import GuestHttp
from durable.execution.inbox import Inbox, NotificationReader
from durable.execution.last_words import LastWords
from durable.execution.tail import Tail, lost_lease
from durable.execution.transaction import Transaction
from durable.failpoints import passing
from durable.journal.cursor import Cursor
from durable.journal.faults import JournalUnavailable
from durable.journal.json_text import MAX_GROWTH
from durable.journal.log_text import LogText, TextDecoder, cut_log
from durable.model import ClaimedTask, Event, TaskState
from durable.store.guest_sql import GuestTransaction
from durable.timing import DatabaseClock
from durable.wasm.traps import GuestLimit, GuestTrap

T = TypeVar("T")

#: More than any URL in a label needs.
MAX_LABEL_BYTES = 65_536


class JournalReader(NotificationReader, Protocol):
    """Reads for running tasks: `durable.store.journal`. Raises JournalUnavailable, never gives nothing instead."""

    async def events(self, task_id: int, first: int) -> list[Event]:
        """A page of events from index `first`, in order."""

    async def task_state(self, task_id: int) -> TaskState | None:
        """The state of any task, None when there is no such task."""

    async def task_data(self, task_id: int, limit: int) -> str | None:
        """The data of a task, None when its text has more than `limit` bytes."""


class Run:
    """One run of one task under one lease, from the top. Host functions get it as their first argument."""

    def __init__(
        self, task: ClaimedTask, config: Config, tail: Tail, clock: DatabaseClock, reader: JournalReader,
        on_progress: Callable[[], None] = lambda: None, database: GuestDatabase | None = None,
        http: GuestHttp | None = None, lease_is_trusted: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self.task = task
        self.config = config
        self.tail = tail
        self.clock = clock
        self.reader = reader
        self.inbox = Inbox(tail, reader)
        self.held = Held(config.guest_memory_limit)
        self.cursor = Cursor(task.events)
        self.transaction: Transaction | None = None
        self.in_effect = False  # of a plugin, outside of a transaction
        self.is_leaving = False  # its worker drains: the guest is dropped once its step has ended
        self.replayed = 0
        self.on_progress = on_progress
        #: Draws so many random bytes for the guest, when not the operating system does.
        self.entropy: Callable[[int], bytes] | None = None
        self.database = database
        self.http = http
        self.lease_is_trusted = lease_is_trusted
        self._journal_bytes = 0
        self._last_instant = 0
        self.last_words = LastWords()
        self._printed = 0
        self._decoders: dict[str, TextDecoder] = {}

    @property
    def state(self) -> str:
        """What it is at, in words for an operator."""
        if self.inbox.waiting:
            return "waits for a notification"
        if self.transaction is not None:
            return f'in transaction "{self.transaction.label}"'
        if self.cursor.index < self.cursor.length:
            return f"replaying event {self.cursor.index} of {self.cursor.length}"
        return f"live at event {self.cursor.index}"

    # -- the task ----------------------------------------------------------------------------------------------------
    def task_data(self) -> str | Coroutine[Any, Any, str]:
        """JSON text, read now when it is too large to be kept. Raises GuestLimit."""
        data = self.task.data
        return self._read_task_data() if data is None else self._checked_data(data)

    async def _read_task_data(self) -> str:
        return self._checked_data(await self.reader.task_data(self.task.id, self._longest_data))

    def _checked_data(self, data: str | None) -> str:
        if data is None or _bytes(data) > self._longest_data:
            raise GuestLimit(
                f"the data of the task is too large: max_task_data_bytes is {self.config.max_task_data_bytes}, "
                f"and as PostgreSQL prints it, it has more than {self._longest_data} bytes"
            )
        return data

    @property
    def _longest_data(self) -> int:
        """As PostgreSQL prints it, with blanks and all zeros: what a launch let through is never refused here."""
        return 2 * self.config.max_task_data_bytes + MAX_GROWTH

    # -- the journal -------------------------------------------------------------------------------------------------
    def record(
        self, label: str, live: Callable[[], T], encode: Callable[[T], str], decode: Callable[[str], T], log: str = ""
    ) -> T | Coroutine[Any, Any, T]:
        """Answer a recorded call whose live answer is known at once: replayed, or made now and added to the tail."""
        if self.transaction is not None:
            self.print_in_transaction(log)
            return live()
        if self.cursor.needs_page or self.tail.is_full:
            return self._record_later(label, live, encode, decode, log)
        value = self.replay(label)
        if value is not None:
            return decode(value)
        answer = live()
        self.append(label, encode(answer), cut_log(log, self.config.max_log_bytes_per_transaction))
        return answer

    async def _record_later(
        self, label: str, live: Callable[[], T], encode: Callable[[T], str], decode: Callable[[str], T], log: str
    ) -> T:
        await self.prepare()
        value = self.replay(label)
        if value is not None:
            return decode(value)
        answer = live()
        self.append(label, encode(answer), cut_log(log, self.config.max_log_bytes_per_transaction))
        return answer

    async def prepare(self) -> None:
        """Bring the next page of the journal when it is needed; wait while too much is not durable yet."""
        if self.cursor.needs_page:
            self.cursor.add_page(await self.reader.events(self.task.id, self.cursor.index))
        if self.tail.is_full:
            await self.tail.durable()

    async def before_effect(self) -> None:
        """Return when what begins now may be seen outside: all before it is durable, and the lease still holds.

        Raises Fenced, JournalUnavailable.
        """
        await self.tail.durable()
        if not self.lease_is_trusted():
            raise JournalUnavailable("its lease could not be renewed for too long to begin anything under it")

    @property
    def is_between_steps(self) -> bool:
        """True when dropping the guest makes nobody do anything again that others have seen."""
        return self.transaction is None and not self.in_effect

    def end_effect(self, label: str, value: str, log: str) -> None:
        """Record the result of an effect (JSON text). Raises CancelledError when the worker only waited for this."""
        self.append(label, value, log)
        self.in_effect = False
        self._leave_if_wanted()

    def replay(self, label: str) -> str | None:
        """The recorded value of the next call, None when it is live. Call `prepare` before."""
        value = self.cursor.replay(label)
        if value is not None:
            self._journal_bytes += _bytes(label) + _bytes(value)
            self.replayed += 1
            self.on_progress()
        return value

    def append(self, label: str, value: str, log: str = "") -> int:
        """Record an event (JSON text) and what it printed, as it is to be stored; the index it got."""
        size = self._check_event(label, value)
        index = self.cursor.record()
        self._journal_bytes += size
        self.tail.add_event(Event(index, label, value), log)
        passing("event.added", self.task.name)
        self.on_progress()
        return index

    def check_label(self, label: str) -> None:
        """Raise GuestTrap, GuestLimit for a label of the guest's that no event can have."""
        if _bytes(label) > MAX_LABEL_BYTES:
            raise GuestLimit(f"the label {label[:100]!r}… has more than {MAX_LABEL_BYTES} bytes")
        if "\0" in label:
            raise GuestTrap("a label must not contain the character U+0000")

    def check_value(self, label: str, value: str) -> int:
        """The size of a value in bytes, found before it is parsed, which takes long. Raise GuestLimit for too many."""
        size = _bytes(value)
        if size > self.config.max_event_bytes:
            raise GuestLimit(
                f"the value of event {label[:100]!r} has {size} bytes; "
                f"max_event_bytes allows {self.config.max_event_bytes}"
            )
        return size

    def _check_event(self, label: str, value: str) -> int:
        """What the event adds to the journal, in bytes."""
        if self.tail.broken is not None:
            raise self.tail.broken
        size = self.check_value(label, value) + _bytes(label)
        if self.cursor.index >= self.config.max_workflow_events:
            raise GuestLimit(f"the journal is full: max_workflow_events is {self.config.max_workflow_events}")
        if self._journal_bytes + size > self.config.max_journal_bytes:
            raise GuestLimit(f"the journal is full: max_journal_bytes is {self.config.max_journal_bytes}")
        return size

    # -- transactions ------------------------------------------------------------------------------------------------
    async def open_database(self) -> GuestTransaction:
        """The database transaction of the open `is-db` transaction, begun when its first statement comes.

        Raises GuestTrap outside of one.
        """
        transaction = self.transaction
        if transaction is None or not transaction.is_db or self.database is None:
            raise GuestTrap("SQL can only be used within a transaction that was entered with is-db")
        if transaction.database is None:
            # What the statement says may follow from anything recorded before.
            await self.tail.durable()
            transaction.database = await self.database.begin(self.task.id, self.task.lease, self.cursor.index)
        return transaction.database.sql

    async def end_transaction(self, value: str) -> None:
        """Close the open transaction and record its result (JSON text), together with what it wrote by SQL."""
        transaction = self.transaction
        assert transaction is not None
        label, log, database = transaction.label, str(transaction.log), transaction.database
        if database is None:
            self.end_transaction_without_database(value)
            return
        if database.sql.has_failed:
            # A statement failed and was not rolled back to a savepoint: nothing was written, and the result says so.
            self.append(label, value, log)
            await self.close()
            self._leave_if_wanted()
            return
        size = self._check_event(label, value)
        held = await database.commit(label, value, log)
        # Closed only now: what it printed is kept when its event is refused.
        await self.close()
        if not held:
            metrics.fenced_writes.inc()
            self.tail.break_off(lost_lease())
            raise lost_lease()
        metrics.events_appended.inc()
        self.cursor.record()
        self._journal_bytes += size
        self.on_progress()
        self._leave_if_wanted()

    def end_transaction_without_database(self, value: str) -> None:
        """Close a transaction that has sent no SQL and record its result (JSON text)."""
        transaction = self.transaction
        assert transaction is not None and transaction.database is None
        self.append(transaction.label, value, str(transaction.log))
        self.transaction = None
        self._leave_if_wanted()

    def _leave_if_wanted(self) -> None:
        if self.is_leaving:
            # At once, and not at the next wait: before that the guest could begin another effect.
            raise asyncio.CancelledError

    async def close(self) -> None:
        """Leave the open transaction, if there is one; what it wrote and did not commit is rolled back."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None and transaction.database is not None:
            await transaction.database.release()

    # -- the log -----------------------------------------------------------------------------------------------------
    def decode_output(self, stream: str, data: bytes) -> str:
        """Text of one write. Counts what the task prints over its whole life: a replayed write counts again."""
        self._printed += len(data)
        if self._printed > self.config.max_task_log_bytes:
            raise GuestLimit(
                f"the workflow printed more than max_task_log_bytes ({self.config.max_task_log_bytes} bytes)"
            )
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = TextDecoder()
        text = decoder.decode(data)
        if stream == "stderr":
            self.last_words.add(text)
        return text

    def print_in_transaction(self, text: str) -> None:
        if text and self.transaction is not None:
            self.transaction.log.add(text)

    def new_log(self) -> LogText:
        return LogText(self.config.max_log_bytes_per_transaction)

    # -- time --------------------------------------------------------------------------------------------------------
    def instant(self) -> int:
        """Now in nanoseconds since the Unix epoch; never goes backwards within a task."""
        self._last_instant = max(self._last_instant, self.clock.now())
        return self._last_instant

    def remember_instant(self, instant: int) -> int:
        """A replayed instant: live ones must not be earlier."""
        self._last_instant = max(self._last_instant, instant)
        return instant


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
