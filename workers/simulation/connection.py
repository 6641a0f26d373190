"""A connection of a simulated process, which tells what the server has left to do for it."""

from __future__ import annotations

import psycopg
from psycopg.abc import PQGenConn
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow


class SimulatedConnection(psycopg.AsyncConnection[TupleRow]):
    """`cancelled_by` is the descriptor of the connection that asks the server to cancel its statement; it can be read
    once the server has heard; None when there is none. `was_idle` tells of a closed one that it held nothing.
    """

    cancelled_by: int | None = None
    was_idle = False

    async def close(self) -> None:
        self.was_idle = self.pgconn.transaction_status is TransactionStatus.IDLE
        await super().close()

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
