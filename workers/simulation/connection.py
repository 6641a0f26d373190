"""A connection of a simulated process, which tells whether the server is being asked to cancel its statement."""

from __future__ import annotations

import psycopg
from psycopg.abc import PQGenConn
from psycopg.rows import TupleRow


class SimulatedConnection(psycopg.AsyncConnection[TupleRow]):
    """`cancelled_by` is the descriptor of the connection that asks for it, which can be read once the server has heard;
    None when there is none.
    """

    cancelled_by: int | None = None

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
