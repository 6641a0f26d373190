"""A launch whose connection breaks before it is answered fails, and is not tried again: it is there once at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

import durable
from durable.model import Program
from tests.chaos.proxy import Proxy, proxied
from tests.client.conftest import BlockingAsyncClient, Loop
from tests.engine.database import Database, wait_until, workflow

Launch = Callable[[str], int]


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with closing(Database(url)) as database:
        yield database


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    with proxied(url) as proxy:
        yield proxy


@pytest.fixture(params=["Client", "AsyncClient"])
def launch(request: pytest.FixtureRequest, url: str, proxy: Proxy, loop: Loop) -> Iterator[Launch]:
    """Launches a task of this name, through the proxy, on a connection that is there already."""
    through = proxy.url(url)
    client: Any = durable.Client(through) if request.param == "Client" else BlockingAsyncClient(through, loop)
    program: Program = client.program(workflow("noop"))
    yield lambda name: int(client.launch(name, program))
    client.close()


@contextmanager
def held_up(database: Database, launch: Launch) -> Iterator[Future[int]]:
    """A launch whose INSERT has reached the server, and has to wait there for the end of the block."""
    with psycopg.connect(database.url) as lock:
        lock.execute("LOCK TABLE durable.task IN SHARE MODE")
        call = ThreadPoolExecutor(1).submit(launch, "broken")
        waiting = "SELECT 1 FROM pg_locks WHERE relation = 'durable.task'::regclass AND NOT granted"
        wait_until(lambda: database.query(waiting), "an INSERT that waits")
        yield call
        lock.rollback()


def names(database: Database) -> list[str]:
    return [name for (name,) in database.query("SELECT name FROM durable.task ORDER BY name")]


def test_a_launch_that_was_committed_and_not_answered_is_there_once(
    database: Database, proxy: Proxy, launch: Launch
) -> None:
    with held_up(database, launch) as call:
        proxy.go_mute()
    wait_until(lambda: names(database) == ["broken"], "the commit")
    proxy.cut()
    with pytest.raises(durable.DatabaseUnavailable):
        call.result(30)
    launch("next")
    assert names(database) == ["broken", "next"]


def test_a_launch_whose_connection_breaks_before_the_commit_is_there_once_at_most(
    database: Database, proxy: Proxy, launch: Launch
) -> None:
    with held_up(database, launch) as call:
        proxy.cut()
        with pytest.raises(durable.DatabaseUnavailable):
            call.result(30)
    launch("next")
    # The server does not know yet that nobody waits for its answer.
    wait_until(lambda: "broken" in names(database), "the commit")
    assert names(database) == ["broken", "next"]
