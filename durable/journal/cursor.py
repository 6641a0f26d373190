"""The replay rule: which recorded event answers the next call. Pure; the caller brings the events in pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from durable.journal.label_text import without_user
from durable.model import Event


class Divergence(Exception):
    """The workflow asked for something else than what its journal recorded at this index."""

    def __init__(self, index: int, stored: str, requested: str) -> None:
        super().__init__(
            f'workflow execution is non-deterministic: stored event at index {index} has label "{stored}" '
            f'but the workflow requested "{requested}"'
        )


class BrokenJournal(Exception):
    """The stored events are not dense from 0: this journal can neither be replayed nor continued."""


class Cursor:
    """Walks a journal of known length. `index` is that of the next recorded call.

    A call below `length` is answered by its event; the first call past the last event is live. Every answer advances
    the index, whichever way it was reached.
    """

    __slots__ = ("_page", "index", "length")

    def __init__(self, length: int) -> None:
        self.index = 0
        self.length = length
        self._page: deque[Event] = deque()

    @property
    def needs_page(self) -> bool:
        """True when the next call is a recorded one whose event has not been brought yet."""
        return self.index < self.length and not self._page

    def add_page(self, events: Sequence[Event]) -> None:
        """The next events in order. Raises BrokenJournal on a gap: missing history is never empty history."""
        expected = self.index + len(self._page)
        if not events:
            raise BrokenJournal(f"the journal has {self.length} events but none at index {expected}")
        for event in events:
            if event.index != expected:
                raise BrokenJournal(f"the journal has no event at index {expected} (next is {event.index})")
            expected += 1
        self._page.extend(events)

    def replay(self, label: str) -> str | None:
        """The recorded value (JSON text) of the next call, or None when the call is live.

        Raises Divergence when the event was recorded by a different call; the cursor stays where it is. `label` is one
        `without_user`; other engines record it as it was given.
        """
        if self.index >= self.length:
            return None
        event = self._page[0]
        if event.label != label and (stored := without_user(event.label)) != label:
            raise Divergence(self.index, stored, label)
        self._page.popleft()
        self.index += 1
        return event.value

    def record(self) -> int:
        """The index of an event that is recorded now, by a live call."""
        if self.index < self.length:
            raise RuntimeError("a live call while recorded events are left")
        index = self.index
        self.index = self.length = index + 1
        return index
