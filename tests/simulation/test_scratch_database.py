"""The database of a simulation goes when the simulation does, at once."""

from __future__ import annotations

import gc
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, PollingStatus

from durable.embedded import EmbeddedServer
from workers.simulation import scratch_database


@pytest.fixture
def guarded_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a login whose password the server asks for."""
    rules = server.data_folder / "cluster" / "pg_hba.conf"
    before = rules.read_text()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE simulator SUPERUSER LOGIN PASSWORD 'secret'")
        rules.write_text("local all simulator scram-sha-256\n" + before)
        connection.execute("SELECT pg_reload_conf()")
        yield make_conninfo(server.url, user="simulator", password="secret")
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("DROP ROLE simulator")


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def a_login_given_up_halfway(url: str) -> None:
    """The server has asked for the password, and nobody answers any more. Only the collector can close it."""
    attempt = PGconn.connect_start(url.encode())
    while attempt.connect_poll() != PollingStatus.READING:
        select.select([], [attempt.socket], [], 5)
    assert select.select([attempt.socket], [], [], 5)[0]
    cycle: list[object] = [attempt]
    cycle.append(cycle)


def test_a_login_that_was_given_up_halfway_does_not_hold_up_the_end(guarded_url: str) -> None:
    with no_garbage_collection():
        with scratch_database(guarded_url) as database:
            a_login_given_up_halfway(database.url)
            over = time.monotonic()
        assert time.monotonic() - over < 20
