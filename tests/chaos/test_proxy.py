"""The network of the campaigns does to connections what it says it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from tests.chaos.proxy import Proxy, proxied
from tests.engine.database import Database, wait_until


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with proxied(database_url) as proxy:
        yield proxy


@pytest.fixture
def url(proxy: Proxy, database_url: str) -> str:
    return proxy.url(database_url)


def connect(url: str, name: str = "durable writer") -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, application_name=name, connect_timeout=5)


def test_a_cut_breaks_what_there_is_and_nothing_that_comes(proxy: Proxy, url: str) -> None:
    with closing(connect(url)) as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert proxy.cut() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with closing(connect(url)) as another:
        assert another.execute("SELECT 1").fetchall() == [(1,)]


def test_what_is_sent_into_a_mute_network_is_done_and_not_answered(proxy: Proxy, url: str, database_url: str) -> None:
    with closing(Database(database_url)) as database, closing(connect(url)) as connection:
        database.query("CREATE TABLE said (word text)")
        proxy.go_mute()
        connection.pgconn.send_query(b"INSERT INTO said VALUES ('heard')")
        wait_until(lambda: database.query("SELECT word FROM said") == [("heard",)], "what was sent")
        assert proxy.cut() == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


def test_who_is_refused_gets_no_connection(proxy: Proxy, url: str) -> None:
    proxy.refuses = True
    with pytest.raises(psycopg.OperationalError):
        connect(url)
    assert proxy.refused == 1


def test_what_is_sent_into_a_deaf_network_arrives_late_although_its_sender_has_left(
    proxy: Proxy, url: str, database_url: str
) -> None:
    with closing(Database(database_url)) as database:
        database.query("CREATE TABLE said (word text)")
        connection = connect(url)
        proxy.go_deaf()
        connection.pgconn.send_query(b"INSERT INTO said VALUES ('late')")
        connection.close()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=2)  # accepted, and never answered
        assert database.query("SELECT word FROM said") == []
        proxy.hear()
        wait_until(lambda: database.query("SELECT word FROM said") == [("late",)], "what was held back")


def test_messages_take_their_time(proxy: Proxy, url: str) -> None:
    with closing(connect(url)) as connection:
        proxy.delay = 0.1
        asked = time.monotonic()
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert time.monotonic() - asked >= 0.2, "there and back"


def test_hints_are_lost_and_nothing_else(proxy: Proxy, url: str) -> None:
    with closing(connect(url, "durable listener")) as listener, closing(connect(url)) as sender:
        listener.execute("LISTEN news")
        proxy.loses_hints = True
        sender.execute("NOTIFY news, 'lost'")
        assert len(listener.execute("SELECT generate_series(1, 5000)").fetchall()) == 5000
        wait_until(lambda: proxy.hints_lost == 1, "a lost hint")
        proxy.loses_hints = False
        sender.execute("NOTIFY news, 'heard'")
        assert [notify.payload for notify in listener.notifies(timeout=10, stop_after=1)] == ["heard"]
