"""What the supervisor knows of its workers: numbered slots, and in each at most one child process."""

from __future__ import annotations

import signal
from collections import deque
from dataclasses import dataclass, field

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
    page: BusyPage
    last_progress: float
    ready_at: float | None = None
    tasks: int = 0
    worker_ids: deque[int] = field(default_factory=lambda: deque(maxlen=_ROWS_PER_CHILD))
    deadline: float | None = None  # set while it drains: it is killed when it has not ended by then
    was_killed: bool = False  # by the supervisor
    has_stopped: bool = False  # everything is handed back
    failure: str = ""

    def __str__(self) -> str:
        return f"worker {self.slot} (pid {self.pid})"

    @property
    def is_ready(self) -> bool:
        return self.ready_at is not None

    @property
    def can_reclaim(self) -> bool:
        return self.is_ready and not self.has_stopped and not self.was_killed

    def close(self) -> None:
        self.link.close()
        self.page.close()

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


@dataclass(eq=False, slots=True)
class Slot:
    """A place for one worker. `start_at` counts while there is no child."""

    number: int
    start_at: float = 0.0
    child: Child | None = None
    state: RestartState = field(default_factory=RestartState)


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
