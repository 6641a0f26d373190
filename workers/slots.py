"""What the supervisor knows of its workers: numbered slots, and in each at most one child process."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from durable.config import Config
from durable.model import Culprit
from workers.busy_page import BusyPage
from workers.link import Failed, Link, Message, Progress, Ready, Registered, Stopped
from workers.restart_policy import RestartState

#: Rows remembered per process. A worker that registers anew has lost its old row already, as a rule.
_ROWS_PER_CHILD = 16


@dataclass(eq=False, slots=True)
class Child:
    """One worker process, as far as it has told about itself. Times are of the monotonic clock, in
    seconds.
    """

    slot: int
    pid: int
    link: Link
    page: BusyPage | None  # of a worker
    last_progress: float
    ready_at: float | None = None
    tasks: int = 0
    worker_ids: deque[int] = field(default_factory=lambda: deque(maxlen=_ROWS_PER_CHILD))
    deadline: float | None = None  # set while it drains: it is killed when it has not ended by then
    abort_deadline: float | None = None  # set once it was aborted, likewise
    was_killed: bool = False  # by the supervisor
    has_stopped: bool = False  # everything is handed back
    failure: str = ""
    name: str = ""  # of one that is not a worker

    def __str__(self) -> str:
        return f"{self.name or f'worker {self.slot}'} (pid {self.pid})"

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None

    @property
    def is_useful(self) -> bool:
        """It takes tasks, as far as is known."""
        return self.is_ready and self.deadline is None and self.abort_deadline is None and not self.was_killed

    @property
    def can_reclaim(self) -> bool:
        return self.is_ready and not self.has_stopped and not self.was_killed and self.abort_deadline is None

    def close(self) -> None:
        self.link.close()
        if self.page is not None:
            self.page.close()

    def culprits(self, how: str) -> tuple[Culprit, ...]:
        """For whom it was computing when it ended like this."""
        return () if self.page is None else self.page.culprits(how)

    def heed(self, message: Message, now: float) -> None:
        """Note what the worker says of itself."""
        self.last_progress = now
        match message:
            case Registered(worker_id):
                self.worker_ids.append(worker_id)
            case Ready():
                self.ready_at = now
            case Progress(tasks):
                self.tasks = tasks
            case Failed(reason):
                self.failure = " ".join(reason.split())
            case Stopped():
                self.has_stopped = True

    def forgive(self, seconds: float) -> None:
        """This time did not pass for the worker, or nobody was there to hear from it."""
        self.last_progress += seconds
        if self.deadline is not None:
            self.deadline += seconds
        if self.abort_deadline is not None:
            self.abort_deadline += seconds


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one worker, and the configuration that its workers get. `start_at` counts while there is no
    child.
    """

    number: int
    config: Config
    start_at: float = 0.0
    child: Child | None = None
    state: RestartState = field(default_factory=RestartState)
    is_leaving: bool = False  # gone as soon as its child is

    @property
    def is_up(self) -> bool:
        return self.child is not None and self.child.is_useful


class Slots:
    """All slots, in the order in which they were added."""

    def __init__(self, size: int, config: Config) -> None:
        self._slots = [Slot(number, config) for number in range(1, size + 1)]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    @property
    def children(self) -> list[Child]:
        return [slot.child for slot in self._slots if slot.child is not None]

    @property
    def staying(self) -> list[Slot]:
        return [slot for slot in self._slots if not slot.is_leaving]

    def of(self, pid: int) -> Slot | None:
        """The slot of this child."""
        return next((slot for slot in self._slots if slot.child is not None and slot.child.pid == pid), None)

    def add(self, config: Config) -> Slot:
        """A new, empty slot with the lowest number that is free."""
        taken = {slot.number for slot in self._slots}
        slot = Slot(next(number for number in count(1) if number not in taken), config)
        self._slots.append(slot)
        return slot

    def remove(self, slot: Slot) -> None:
        self._slots.remove(slot)


def how_it_ended(child: Child, status: int) -> str:
    """For a log line; `status` as of os.waitstatus_to_exitcode."""
    if status < 0:
        return f"was killed by signal {_signal_name(-status)}"
    if child.failure:
        return f"{'cannot start' if not child.is_ready else 'failed'}: {child.failure}"
    return f"exited with status {status}" if status else "has stopped"


def _signal_name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # most real-time signals have no name
        return str(signum)
