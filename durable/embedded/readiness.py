"""Whether a server takes connections: only a connection proves it, files and pids outlive a server."""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import errors, sql

#: Seconds. A server that is stopped by a signal takes the connection and says nothing.
CONNECT_TIMEOUT = 10


def answers(url: str) -> bool:
    """True when the server takes connections to this database, or would if it were not full."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT).close()
    except psycopg.OperationalError as error:
        # libpq tells no SQLSTATE for a refused connection.
        return "too many clients" in str(error) or "connection slots are reserved" in str(error)
    return True


def has_database(url: str, name: str) -> bool:
    """Make the database `name` if there is none, over a connection to `url`, another database of the server.

    False when the server takes no connections yet. Raises psycopg.Error.
    """
    try:
        connection = psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT, autocommit=True)
    except psycopg.OperationalError:
        return False
    with connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall():
            _create(connection, name)
    return True


def _create(connection: psycopg.Connection, name: str) -> None:
    with suppress(errors.DuplicateDatabase):  # somebody was faster: what was wanted is there
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
