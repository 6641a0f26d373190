"""Sessions of the server that outlive their process: to begin one costs more than most of what is asked in it."""

from __future__ import annotations

import select
from collections import defaultdict

from psycopg import generators, waiting
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn


class UsedSessions:
    """Holds those that nobody uses, by application name. Nothing of whoever had one before is left in it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: defaultdict[str, list[PGconn]] = defaultdict(list)

    def take(self, name: str) -> PGconn:
        """At once, also when there is none and one has to be begun: a run may not depend on the runs before it."""
        idle = self._idle[name]
        while idle:
            session = idle.pop()
            if not _is_readable(session.socket):
                return session
            session.finish()  # nothing was asked: the server says that it has ended it
        # Not PGconn.connect, under which no other thread runs.
        login = generators.connect(make_conninfo(self._url, application_name=name))
        begun: PGconn = waiting.wait_conn(login, interval=1.0)
        return begun

    def give_back(self, name: str, session: PGconn) -> None:
        """It is outside of a transaction, and all its answers have been read."""
        if session.exec_(b"DISCARD ALL").status == ExecStatus.COMMAND_OK:
            self._idle[name].append(session)
        else:
            session.finish()

    def close(self) -> None:
        for idle in self._idle.values():
            while idle:
                idle.pop().finish()


def _is_readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
