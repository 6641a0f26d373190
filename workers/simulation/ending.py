"""How a run with faults ended, beside how runs without faults do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from workers.simulation.snapshot import Recorded, TaskRow


@dataclass(frozen=True)
class Ending:
    """How the task of one run ended. `took` is in seconds of simulated time."""

    task: TaskRow
    journal: list[Recorded]
    log: dict[int, str]
    reason: str
    took: float


@dataclass(frozen=True)
class Expected:
    """What a quick and a slow run without faults agree on: times, and what follows from them, they do not.

    `events` and `log` hold it by index, as far as both did the same; `state` is None when they did not to the end.
    """

    state: str | None
    events: dict[int, tuple[str, str | None]]
    log: dict[int, str]
    took: float

    @classmethod
    def of(cls, quick: Ending, slow: Ending) -> Expected:
        events: dict[int, tuple[str, str | None]] = {}
        for one, other in zip(quick.journal, slow.journal, strict=False):
            if one.label != other.label:
                break
            events[one.index] = one.label, one.value if one.value == other.value else None
        same = len(events) == len(quick.journal) == len(slow.journal) and quick.task.state is slow.task.state
        log = {index: text for index, text in quick.log.items() if index in events and slow.log.get(index) == text}
        return cls(quick.task.state if same else None, events, log, max(quick.took, slow.took))

    def problems(self, ending: Ending) -> Iterator[str]:
        """How a run with faults ended otherwise."""
        if self.state is not None and ending.task.state != self.state:
            yield f"the task is {ending.task.state} and without faults {self.state}: {ending.reason}"
        if self.state is not None and len(ending.journal) != len(self.events):
            yield f"the journal has {len(ending.journal)} events and without faults {len(self.events)}"
        for event, (label, value) in zip(ending.journal, self.events.values(), strict=False):
            if event.label != label:
                yield f"event {event.index} is {event.label} and without faults {label}"
                return
            if value is not None and event.value != value:
                yield f"event {event.index} ({label}) is {event.value} and without faults {value}"
        for index, text in self.log.items():
            if index < len(ending.journal) and ending.log.get(index) != text:
                yield f"printed at event {index}: {ending.log.get(index)!r}, and without faults {text!r}"
