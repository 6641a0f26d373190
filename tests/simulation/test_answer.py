"""Whether an answer is there is seen by its end, not by its beginning."""

from __future__ import annotations

import select

from psycopg import pq

from durable.embedded import EmbeddedServer
from workers.simulation.answer import has_come_whole

#: The first row is longer than what the server keeps back, the second comes half a second later.
_IN_PIECES = b"SELECT repeat('x', 10000) FROM generate_series(1, 2) AS n WHERE n = 1 OR pg_sleep(0.5) IS NOT NULL"


def test_an_answer_is_there_once_its_end_is(server: EmbeddedServer) -> None:
    session = pq.PGconn.connect(server.url.encode())
    poll = select.poll()
    poll.register(session.socket, select.POLLIN)
    assert not has_come_whole(session.socket)
    session.send_query(_IN_PIECES)
    assert poll.poll(30_000)
    assert not has_come_whole(session.socket)
    while not has_come_whole(session.socket):
        assert not select.select([], [], [session.socket], 0.01)[2]
    result = session.get_result()
    assert result is not None
    assert result.ntuples == 2
    session.finish()
