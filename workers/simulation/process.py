"""One simulated process: its loop, its clock, its connections, and what reaches it of NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from workers.simulation.connection import SimulatedConnection
from workers.simulation.database import Hint, SimulatedDatabase
from workers.simulation.loop import SimulatedLoop
from workers.simulation.used_sessions import UsedSessions

if TYPE_CHECKING:
    from workers.worker import Worker


#: Of so many connections one begins a session, as in production; the others have used ones.
_BEGINS = 4


class Connections:
    """The database connections that the process with this number has open."""

    def __init__(self, number: int, url: str, used: UsedSessions) -> None:
        self._url = url
        self._used = used
        self._asked_for = number
        self._all: dict[SimulatedConnection, int] = {}  # with the process id of the server's side

    async def open(self, name: str) -> SimulatedConnection:
        """One whose session has this application name. Raises psycopg.OperationalError."""
        self._asked_for += 1
        if self._asked_for % _BEGINS == 0:
            connection = await SimulatedConnection.begin(self._url, name)
        else:
            connection = await SimulatedConnection.resume(self._used, name)
        self._all[connection] = connection.pgconn.backend_pid
        return connection

    def sessions(self) -> dict[int, int]:
        """Process ids of the server's side, by descriptor."""
        return {one.pgconn.socket: pid for one, pid in self._all.items() if not one.closed}

    def cancelled(self) -> dict[int, int]:
        """Process ids of sessions whose statement is being cancelled, and the descriptor of who asks for it."""
        return {
            pid: one.cancelled_by for one, pid in self._all.items() if one.cancelled_by is not None and not one.closed
        }

    def closed(self) -> set[int]:
        """Process ids of the server's side of those closed since the last time that held something."""
        closed = [one for one in self._all if one.closed]
        held = {self._all[one] for one in closed if not one.was_idle}
        for one in closed:
            del self._all[one]
        return held

    def cut(self, descriptor: int) -> int:
        """Cut one off, as a network does: neither side is told in advance. The process id of the server's side."""
        (one,) = (one for one in self._all if not one.closed and one.pgconn.socket == descriptor)
        return _cut(one)

    def cut_all(self) -> set[int]:
        """As the kernel does when a process dies. The process ids of the server's side of those that held something."""
        return {_cut(one) for one in self._all if not one.closed and not one.leave_to_others()}

    def forget(self) -> None:
        """Give the memory of a dead process back; none of its code may be at a connection any more."""
        for one in self._all:
            one.pgconn.finish()
        self._all.clear()


def _cut(connection: SimulatedConnection) -> int:
    # Not closed: libpq may be in the middle of it, and finds out as it would of any broken connection.
    with socket.socket(fileno=os.dup(connection.pgconn.socket)) as duplicate, contextlib.suppress(OSError):
        duplicate.shutdown(socket.SHUT_RDWR)
        while duplicate.recv(65_536):
            pass  # what the server has answered already does not arrive
    return connection.pgconn.backend_pid


class Hints:
    """The LISTEN of one process: the scheduler says which hints arrive."""

    def __init__(self) -> None:
        self._receive: Callable[[str, str], None] | None = None

    def subscribe(self, receive: Callable[[str, str], None]) -> None:
        self._receive = receive

    def arrive(self, hint: Hint) -> None:
        if self._receive is not None:
            self._receive(*hint)


class Process:
    """`now` gives the microseconds since the run began, `skew` (seconds) is how far its clock is from others'."""

    def __init__(
        self,
        number: int,
        database: SimulatedDatabase,
        now: Callable[[], int],
        skew: float,
        wrong: Callable[[str], None],
    ) -> None:
        self.number = number
        self._now = now
        self._skew = int(skew * 1_000_000)
        self._frozen = 0
        self.loop = SimulatedLoop(lambda: self.monotonic_ns() / 1e9, wrong)
        self.connections = Connections(number, database.url, database.used_sessions)
        self.hints = Hints()
        self.worker_ids: list[int] = []
        self.worker: Worker | None = None
        self.main: asyncio.Task[None] | None = None
        self.has_begun = False
        self.is_draining = False
        self.stopped_at: int | None = None
        self._freezes = False

    @property
    def runs(self) -> bool:
        return self.stopped_at is None

    @property
    def has_frozen(self) -> bool:
        """Its clock has lost time."""
        return self._frozen > 0

    @property
    def is_busy(self) -> bool:
        """Whether its worker has tasks in memory."""
        return self.worker is not None and self.worker.task_count > 0

    def monotonic_ns(self) -> int:
        return (self._now() + self._skew - self._frozen) * 1000

    def start(self, worker: Worker) -> None:
        self.worker = worker
        self.main = self.loop.create_task(self._live(worker), name=f"process {self.number}")

    async def _live(self, worker: Worker) -> None:
        await worker.start()
        self.has_begun = True
        await worker.wait_closed()

    def stop(self, freezes: bool) -> None:
        """SIGSTOP; when it freezes its clock stands still, too, as that of a host that sleeps."""
        self.stopped_at, self._freezes = self._now(), freezes

    def go_on(self) -> None:
        """SIGCONT."""
        assert self.stopped_at is not None
        if self._freezes:
            self._frozen += self._now() - self.stopped_at
        self.stopped_at = None

    def until_timer(self) -> float:
        """Microseconds until its next timer is due; infinity when there is none."""
        when = self.loop.next_timer
        return when if when == float("inf") else max(int(when * 1e6) + 1 - self.monotonic_ns() // 1000, 1)

    def __str__(self) -> str:
        return f"worker {self.worker_ids[-1]}" if self.worker_ids else f"process {self.number}"
