"""What a session of the server tells its next user of the one before: nothing."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.pq.abc import PGconn

from durable.embedded import EmbeddedServer
from workers.simulation.used_sessions import UsedSessions

_SETTING = b"SELECT current_setting('lock_timeout'), current_setting('application_name')"
_LEFT_BEHIND = (
    b"SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),"
    b" (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), to_regclass('mine') IS NULL"
)


@pytest.fixture
def used(server: EmbeddedServer) -> Iterator[UsedSessions]:
    used = UsedSessions(server.url)
    yield used
    used.close()


def row(session: PGconn, query: bytes) -> list[bytes | None]:
    result = session.exec_(query)
    return [result.get_value(0, column) for column in range(result.nfields)]


def test_a_session_that_is_given_back_is_the_next_and_remembers_nothing(used: UsedSessions) -> None:
    first = used.take("durable one")
    for statement in (
        b"SET lock_timeout = '7s'", b"PREPARE mine AS SELECT 1", b"LISTEN mine", b"CREATE TEMP TABLE mine ()",
        b"SELECT pg_advisory_lock(1)", b"SET application_name = 'mine'",
    ):  # fmt: skip
        first.exec_(statement)
    used.give_back("durable one", first)
    again = used.take("durable one")
    assert again is first
    assert row(again, _SETTING) == [b"0", b"durable one"]
    assert row(again, _LEFT_BEHIND) == [b"0", b"0", b"0", b"t"]
    again.finish()


def test_each_name_has_sessions_of_its_own(used: UsedSessions) -> None:
    one = used.take("durable one")
    used.give_back("durable one", one)
    other = used.take("durable other")
    assert other is not one
    assert row(other, _SETTING)[1] == b"durable other"
    other.finish()


def test_a_session_that_the_server_has_ended_meanwhile_is_nobody_s(used: UsedSessions, server: EmbeddedServer) -> None:
    ended = used.take("durable one")
    used.give_back("durable one", ended)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (ended.backend_pid,))
    session = used.take("durable one")
    assert row(session, _SETTING)[1] == b"durable one"
    session.finish()


def test_a_session_within_a_transaction_is_not_used_again(used: UsedSessions) -> None:
    session = used.take("durable one")
    session.exec_(b"BEGIN")
    used.give_back("durable one", session)
    another = used.take("durable one")
    assert another is not session
    another.finish()
