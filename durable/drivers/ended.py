"""Whether the server has ended a connection while nobody used it, without asking the server."""

from __future__ import annotations

import select

import psycopg

from durable.drivers.connecting import AsyncConn, Conn


def has_ended(connection: Conn | AsyncConn) -> bool:
    """For a connection that nobody uses at the moment. One whose network has gone deaf looks alive."""
    try:
        while _has_something_to_say(connection.pgconn.socket):
            connection.pgconn.consume_input()  # fails at the end of the stream
    except psycopg.Error:
        return True
    return False


def _has_something_to_say(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
