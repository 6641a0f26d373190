"""A connection comes back to the pool whatever happens to who had it, and on whatever network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from durable.execution.database import GuestDatabase
from durable.store import guest_pool, guest_sql
from durable.store.guest_pool import GuestPool
from tests.chaos.proxy import Proxy, proxied
from tests.execution.tables import Tables
from tests.guest_sql.guest import Guest, worker_with_secret
from tests.guest_sql.playing import play, write

#: Seconds; psycopg takes ten for a statement that was stopped on a network that has gone deaf.
SOON = 40.0


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with proxied(database_url) as network:
        yield network


async def begin(guest: Guest) -> asyncio.Task[None]:
    """A workflow that has sent a statement and does something else for ever."""
    has_begun = asyncio.Event()

    async def live() -> None:
        async with guest.transaction():
            await guest.send("SELECT 1")
            has_begun.set()
            await asyncio.sleep(1000)

    running = asyncio.create_task(live())
    await has_begun.wait()
    return running


async def next_one(guest: Guest) -> None:
    """The next workflow, which gets the only connection that the pool may have."""
    async with asyncio.timeout(SOON):
        await write(guest, "SELECT 1")


@pytest.fixture
def played(tables: Tables) -> Callable[..., None]:
    """Plays acts that are given the database and a maker of guests."""
    worker, secret = worker_with_secret(tables)

    def run(url: str, act: Callable[[GuestDatabase, Callable[[], Guest]], Awaitable[None]], idle: float = 10) -> None:
        async def actions(database: GuestDatabase) -> None:
            await act(database, lambda: Guest(tables.task(worker), database))

        play(url, secret, actions, idle=idle)

    return run


def test_from_one_who_is_stopped_again_while_it_goes_back(played: Callable[..., None], database_url: str) -> None:
    """As at the end of a drain, or when the lease is over."""

    async def stop_twice(database: GuestDatabase, new_guest: Callable[[], Guest]) -> None:
        for turns in range(12):
            running = await begin(new_guest())
            running.cancel()
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
            await asyncio.wait([running])
            assert running.cancelled()
            await next_one(new_guest())

    played(database_url, stop_twice)


@pytest.mark.parametrize("stops", [1, 2])
def test_from_a_network_that_does_not_answer_the_rollback(
    played: Callable[..., None], database_url: str, proxy: Proxy, stops: int
) -> None:
    async def stop(database: GuestDatabase, new_guest: Callable[[], Guest]) -> None:
        running = await begin(new_guest())
        proxy.go_mute()
        for _ in range(stops):
            running.cancel()
            await asyncio.sleep(0.2)
        done, _ = await asyncio.wait([running], timeout=SOON)
        assert done, "a worker whose leases are over waits for the end of its guests"
        await next_one(new_guest())

    played(proxy.url(database_url), stop)


def test_while_another_task_waits_for_an_answer_on_it(
    played: Callable[..., None], database_url: str, proxy: Proxy
) -> None:
    """The one who speaks for an idle guest: closed under it, psycopg would go on with freed memory."""

    async def stop(database: GuestDatabase, new_guest: Callable[[], Guest]) -> None:
        running = await begin(new_guest())
        proxy.go_mute()
        await asyncio.sleep(0.5)
        for _ in range(3):
            running.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([running])
        await next_one(new_guest())

    played(proxy.url(database_url), stop, idle=0.6)


def test_from_a_network_that_does_not_answer_when_it_is_cleaned(
    played: Callable[..., None], database_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passing(point: str) -> None:
        if point == "commit.done":
            monkeypatch.undo()
            proxy.go_mute()

    async def commit(database: GuestDatabase, new_guest: Callable[[], Guest]) -> None:
        await write(new_guest(), "SELECT 1")
        await next_one(new_guest())

    monkeypatch.setattr(guest_sql, "passing", passing)
    played(proxy.url(database_url), commit)


def test_before_the_pool_is_closed(played: Callable[..., None], database_url: str) -> None:
    async def stop(database: GuestDatabase, new_guest: Callable[[], Guest]) -> None:
        running = await begin(new_guest())
        running.cancel()
        await asyncio.sleep(0)
        running.cancel()

    played(database_url, stop)


def test_who_waits_is_served_also_when_the_pool_had_given_up(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The login of the guests cannot connect for a while, and nobody else asks for a connection."""
    monkeypatch.setattr(guest_pool, "GIVE_UP_AFTER", 0.1)
    database = psycopg.conninfo.conninfo_to_dict(database_url)
    socket_folder = tmp_path / "later"
    url = psycopg.conninfo.make_conninfo(database_url, host=str(socket_folder))

    async def wait_for_one(pool: GuestPool) -> None:
        async with pool.connection():
            pass

    async def main() -> None:
        pool = GuestPool(url, connections=2, timeout=10, idle=10)
        waiting = asyncio.create_task(wait_for_one(pool))
        await asyncio.sleep(2.5)  # the pool tries twice, a second apart
        socket_folder.symlink_to(str(database["host"]))
        async with asyncio.timeout(SOON):
            await waiting
        await pool.close()

    asyncio.run(main())
