"""Places where a test can make this process die or stop, exactly there and not at some moment of a sleep.

`DURABLE_FAILPOINT=NAME[=SUBJECT]:N:MARKER[:ACTION]` acts at the N-th time that point NAME is passed, by SUBJECT (the
name of a task) if there is one; once over all processes: the file MARKER must not exist yet and is created. With `-`
for MARKER it acts in each process, and with `N+` each N-th time. ACTION is `kill` (SIGKILL, the default) or `stop`
(SIGSTOP). Without the variable, `passing` is a function that does nothing.
"""

from __future__ import annotations

import os
import signal
from typing import Protocol

#: Every point there is. Tests go through all of them, so a new one belongs here.
POINTS = (
    "register.done",  # a worker's row is there, the worker does not know yet
    "claim.done",  # tasks are claimed, none has started
    "heartbeat.done",  # all leases are renewed, the worker does not know yet
    "event.added",  # an event is in the tail, nothing is durable yet
    "append.before",  # a batch is about to be sent
    "append.done",  # a batch is committed, nobody was told
    "inbox.read",  # notifications were looked at, none is taken
    "request.before",  # everything before an HTTP request is durable, nothing was sent
    "response.here",  # an HTTP request was answered, nothing of that is recorded
    "sql.begun",  # a guest's database transaction has its first row
    "record.before",  # a guest's SQL is done, its event and COMMIT not sent
    "commit.done",  # both are done, nobody was told
    "suspend.before",  # a guest is about to be dropped until it can go on
    "suspend.done",  # the task is suspended, its slot not free yet
    "finish.before",  # a guest is over, its last batch not written
    "finish.done",  # the task is in its final state
    "release.before",  # code has stopped, leases are not handed back yet
    "reclaim.done",  # tasks of dead workers are ready again
)

_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Passing(Protocol):
    def __call__(self, point: str, subject: str = "") -> None: ...


def _armed(setting: str) -> Passing:
    where, count, marker, *action = setting.split(":")
    name, _, wanted = where.partition("=")
    if name not in POINTS:
        raise ValueError(f"DURABLE_FAILPOINT names no point: {name!r} is not one of {', '.join(POINTS)}")
    left = every = int(count.removesuffix("+"))
    signal_number = _ACTIONS[action[0] if action else "kill"]

    def passing(point: str, subject: str = "") -> None:
        nonlocal left
        if point != name or wanted not in ("", subject):
            return
        left -= 1
        if left == 0 and _first(marker):
            if count.endswith("+"):
                left = every
            os.kill(os.getpid(), signal_number)

    return passing


def _first(marker: str) -> bool:
    if marker == "-":
        return True
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _disarmed(point: str, subject: str = "") -> None:
    return None


_setting = os.environ.get("DURABLE_FAILPOINT")
#: Called at each point with its name.
passing: Passing = _armed(_setting) if _setting else _disarmed
