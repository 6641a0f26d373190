"""The entries of one task that are not durable yet, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from durable.journal.faults import Fenced
from durable.journal.part import JournalPart, Message, TaskChange
from durable.model import Event

#: A tail that outgrows these has to be written before its guest goes on: bytes of text, number of entries.
MAX_TAIL_BYTES = 1 << 20
MAX_TAIL_ENTRIES = 2000


class Writer(Protocol):
    """Who makes tails durable: `durable.execution.group_commit`."""

    def notice(self, tail: Tail) -> None:
        """The tail has its first entry; write it within the flush interval."""

    def hurry(self) -> None:
        """Somebody waits for a tail; write now."""


class Tail:
    """Collects entries until the writer cuts them off as one part.

    Once a part was refused or is in doubt, the lease is broken: nothing more is ever written through this tail, so that
    a journal cannot get a gap. `on_broken` is called when that happens while nobody waits for the tail: its guest goes
    on in vain.
    """

    __slots__ = (
        "_added", "_bytes", "_durable", "_part", "_waiters", "_writer", "broken", "lease", "on_broken", "task_id",
    )  # fmt: skip

    def __init__(self, task_id: int, lease: int, writer: Writer) -> None:
        self.task_id = task_id
        self.lease = lease
        self.broken: Exception | None = None
        self.on_broken: Callable[[], object] = _nobody
        self._writer = writer
        self._part: JournalPart | None = None
        self._bytes = 0
        self._added = 0
        self._durable = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def is_full(self) -> bool:
        """True when the guest has to wait until the tail is durable."""
        part = self._part
        return part is not None and (self._bytes > MAX_TAIL_BYTES or len(part.events) >= MAX_TAIL_ENTRIES)

    @property
    def is_durable(self) -> bool:
        """True when everything added so far is committed."""
        return self._durable == self._added

    def add_event(self, event: Event, log: str = "") -> None:
        self._open(len(event.value) + len(event.label) + len(log)).events.append(event)
        if log:
            self._open(0).logs.append((event.index, log))

    def add_log(self, index: int, text: str) -> None:
        """Text at an index that has no event: why a task failed, or what an unfinished transaction printed."""
        self._open(len(text)).logs.append((index, text))

    def send(self, message: Message) -> None:
        self._open(len(message.data) + len(message.event)).sent.append(message)

    def take(self, notification_id: int) -> None:
        self._open(8).taken.append(notification_id)

    def change(self, change: TaskChange) -> None:
        """Set what becomes of the task row in the same transaction; a later change replaces an unwritten one."""
        self._open(8).change = change

    async def durable(self) -> None:
        """Wait until everything added so far is committed.

        Raises Fenced, JournalUnavailable or Unstorable when it is not, and will not be.
        """
        if self.broken is not None:
            raise self.broken
        if self.is_durable:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._added, waiter))
        self._writer.hurry()
        await waiter

    @property
    def size(self) -> int:
        """For the writer: about how many bytes of text there are to write."""
        return self._bytes

    def cut(self) -> JournalPart | None:
        """For the writer: take all entries over, or None when there are none or the lease is broken."""
        part, self._part = self._part, None
        self._bytes = 0
        return None if self.broken is not None else part

    @property
    def added(self) -> int:
        """For the writer: how much has been added, to be handed back to `committed`."""
        return self._added

    def committed(self, added: int) -> None:
        """For the writer: everything up to `added` is durable."""
        self._durable = added
        waiting, self._waiters = self._waiters, []
        for upto, waiter in waiting:
            if upto > added:
                self._waiters.append((upto, waiter))
            elif not waiter.done():
                waiter.set_result(None)

    def break_off(self, reason: Exception) -> None:
        """For the writer, or the worker that lost the lease: nothing more will be written."""
        if self.broken is None:
            self.broken = reason
        waiting, self._waiters = self._waiters, []
        for _, waiter in waiting:
            if not waiter.done():
                waiter.set_exception(self.broken)
        if not waiting:
            self.on_broken()

    def _open(self, size: int) -> JournalPart:
        self._bytes += size
        self._added += 1
        if self._part is None:
            self._part = JournalPart(self.task_id, self.lease)
            self._writer.notice(self)
        return self._part


def _nobody() -> None:
    return None


def lost_lease() -> Fenced:
    return Fenced("the lease of the task is over")
