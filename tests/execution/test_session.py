"""The connection of a worker, and who may end it when."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from durable.drivers.connecting import connect
from durable.errors import DatabaseUnavailable
from durable.journal.faults import JournalUnavailable
from durable.store.session import Session


def test_a_connection_is_not_closed_under_a_statement(database_url: str) -> None:
    """A drained worker closes it while its supervisor still asks for something."""

    async def main() -> None:
        session = Session(database_url, "test", timeout=20, idle_in_transaction=20)
        asks = asyncio.create_task(answer_of(session, "SELECT pg_sleep(0.3), 1"))
        comes_late = asyncio.create_task(answer_of(session, "SELECT 0, 2"))
        await asyncio.sleep(0.1)
        await session.close()
        assert asks.done() and await asks == 1
        with pytest.raises(JournalUnavailable, match="closed"):
            await comes_late
        with pytest.raises(JournalUnavailable, match="closed"):
            await answer_of(session, "SELECT 0, 3")

    asyncio.run(main())


def test_closing_waits_for_a_silent_database_no_longer_than_its_user_does(database_url: str) -> None:
    async def main() -> None:
        session = Session(database_url, "test", timeout=0.3, idle_in_transaction=20)
        asks = asyncio.create_task(answer_of(session, "SELECT pg_sleep(60), 1"))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(session.close(), 10)
        with pytest.raises(JournalUnavailable, match="did not answer"):
            await asks

    asyncio.run(main())


@contextmanager
def silent_server() -> Iterator[tuple[str, list[socket.socket]]]:
    """The URL of one that takes connections and says nothing; and the connections."""
    accepted: list[socket.socket] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted.append(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"postgresql://me@127.0.0.1:{listener.getsockname()[1]}/db?sslmode=disable&gssencmode=disable", accepted
        listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def assert_is_closed_by_the_client(connection: socket.socket) -> None:
    with connection:
        connection.settimeout(10)
        while connection.recv(1000):
            pass


def test_a_worker_keeps_no_connection_to_a_server_that_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.store.session.CONNECT_TIMEOUT", 2)

    async def main(url: str, accepted: list[socket.socket]) -> None:
        session = Session(url, "test", timeout=20, idle_in_transaction=20)
        with pytest.raises(JournalUnavailable, match="timeout"):
            await answer_of(session, "SELECT 0, 1")
        assert_is_closed_by_the_client(accepted[0])

    with without_garbage_collection(), silent_server() as (url, accepted):
        asyncio.run(main(url, accepted))


def test_a_client_keeps_no_connection_to_a_server_that_lets_nobody_in() -> None:
    with without_garbage_collection(), silent_server() as (url, accepted):
        with pytest.raises(DatabaseUnavailable, match="timeout"):
            connect(url + "&connect_timeout=2")
        assert_is_closed_by_the_client(accepted[0])


class NoThreads(ThreadPoolExecutor):
    def submit(self, *arguments: Any, **more: Any) -> Any:
        raise RuntimeError("can't start new thread")


def test_a_host_without_a_thread_for_the_name_of_the_database_is_short_of_it_for_a_while() -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        session = Session("postgresql://me@localhost:1/db", "test", timeout=20, idle_in_transaction=20)
        with pytest.raises(JournalUnavailable, match="can't start new thread"):
            await answer_of(session, "SELECT 0, 1")

    asyncio.run(main())


async def answer_of(session: Session, statement: str) -> int:
    async with session.use() as connection:
        cursor = await connection.execute(statement)
        ((_, answer),) = await cursor.fetchall()
        return int(answer)
