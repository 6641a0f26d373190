"""What runs in the forked keeper process: a look at the embedded PostgreSQL each second, a start when it has died."""

from __future__ import annotations

import logging
import re
import select
import signal
from collections.abc import Callable

from durable.embedded import EmbeddedPostgresError
from workers.link import Drain, Link

_log = logging.getLogger("durable.keeper")

#: Seconds between two looks.
LOOK_EVERY = 1.0
#: Seconds between two attempts to start a server that does not start; the pauses before it grow from LOOK_EVERY on.
LONGEST_PAUSE = 30.0


def run(revive: Callable[[], bool], link: Link) -> int:
    """Call `revive`, that of the EmbeddedServer, again and again, until the supervisor says `Drain` or is gone. Returns
    the exit status.

    One thread: a `Drain` waits for the start that is under way. SIGTERM means nothing here. Who sends it to all
    processes of the service wants the supervisor to end, and workers need the database for their drain.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)  # SIG_IGN would be inherited by the server
    watch = Watch(revive)
    while not _is_told_to_end(link, watch.pause):
        watch.look()
    return 0


def _is_told_to_end(link: Link, seconds: float) -> bool:
    select.select([link], [], [], seconds)
    return Drain() in link.receive() or link.ended


class Watch:
    """Looks, and says what came of it: a failure once for each reason."""

    def __init__(self, revive: Callable[[], bool]) -> None:
        self._revive = revive
        self._reason = ""
        self.pause = LOOK_EVERY  #: seconds until the next look

    def look(self) -> None:
        try:
            was_dead = self._revive()
        except EmbeddedPostgresError as error:
            self._has_failed(" ".join(str(error).split()))
            return
        if was_dead:
            _log.warning("the embedded PostgreSQL had died; it was started again")
        self._reason = ""
        self.pause = LOOK_EVERY

    def _has_failed(self, problem: str) -> None:
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        reason = re.sub(r"\d+", "", problem)  # numbers of processes, and times
        if reason != self._reason:
            _log.error("the embedded PostgreSQL has died and cannot be started; trying again: %s", problem)
        self._reason = reason
