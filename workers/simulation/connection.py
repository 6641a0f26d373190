"""A connection of a simulated process, which tells what the server has left to do for it."""

from __future__ import annotations

import psycopg
from psycopg import pq
from psycopg.abc import PQGenConn
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from workers.simulation.used_sessions import UsedSessions

#: What a connection holds that has left its session to others.
_CLOSED: PGconn = pq.PGconn.connect_start(b"host=/nonexistent")
_CLOSED.finish()


class SimulatedConnection(psycopg.AsyncConnection[TupleRow]):
    """`cancelled_by` is the descriptor of the connection that asks the server to cancel its statement; it can be read
    once the server has heard; None when there is none. `was_idle` tells of a closed one that it held nothing.
    """

    cancelled_by: int | None = None
    was_idle = False
    _used: tuple[UsedSessions, str] | None = None

    @classmethod
    async def begin(cls, url: str, name: str) -> SimulatedConnection:
        """With a new session, as in production."""
        return await cls.connect(url, autocommit=True, application_name=name, connect_timeout=60)

    @classmethod
    async def resume(cls, used: UsedSessions, name: str) -> SimulatedConnection:
        """With a session that others had before, and may have again."""
        connection = cls(used.take(name))
        connection._used = used, name
        await connection.set_autocommit(True)
        return connection

    async def close(self) -> None:
        if not self.leave_to_others():
            await super().close()

    def leave_to_others(self) -> bool:
        """Close it, if it holds nothing and its session can be used again. False: nothing has been done."""
        if self.closed:
            return False
        self.was_idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        if self._used is None or not self.was_idle:
            return False
        used, name = self._used
        session, self.pgconn = self.pgconn, _CLOSED
        self._closed = True
        used.give_back(name, session)
        return True

    def _cancel_gen(self) -> PQGenConn[None]:
        asking = super()._cancel_gen()
        try:
            request = next(asking)
            while True:
                self.cancelled_by, _ = request
                request = asking.send((yield request))
        except StopIteration:
            return
        finally:
            self.cancelled_by = None
