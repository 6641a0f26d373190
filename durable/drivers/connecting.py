"""Connections as a client wants them: one statement, one commit; named; with an end to waiting for them."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict

from durable.database_url import checked
from durable.drivers.faults import translated_connect
from durable.errors import ConfigError

Conn: TypeAlias = Connection[Any]
AsyncConn: TypeAlias = AsyncConnection[Any]

CONNECT_TIMEOUT = 10  # seconds, unless the URL or PGCONNECT_TIMEOUT says otherwise


def connect(url: str) -> Conn:
    """A connection in autocommit mode. Raises DatabaseUnavailable, ConfigError for a URL that is none."""
    settings = connection_settings(url)
    with translated_connect():
        return Connection.connect(url, **settings)


async def connect_async(url: str) -> AsyncConn:
    """`connect` for asyncio."""
    settings = connection_settings(url)
    with translated_connect():
        return await AsyncConnection.connect(url, **settings)


def connection_settings(url: str) -> dict[str, Any]:
    """What psycopg needs to know beside the URL. Raises ConfigError for a URL that is none."""
    try:
        checked(url)
    except ValueError as error:
        raise ConfigError(f"the database URL is not valid: {error}") from None
    with translated_connect():
        given = conninfo_to_dict(url)
    # No prepared statements: a transaction pooler gives each transaction another session.
    settings: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
    if "connect_timeout" not in given and "PGCONNECT_TIMEOUT" not in os.environ:
        settings["connect_timeout"] = CONNECT_TIMEOUT
    if "application_name" not in given:
        settings["fallback_application_name"] = "durable"
    return settings
