"""Every test of the client runs against both clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from psycopg_pool import ConnectionPool

from durable import AsyncClient, Client
from tests.client.databases import empty_url, migrated, sql, url, worker

__all__ = ["empty_url", "migrated", "sql", "url", "worker"]


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingAsyncClient:
    """An AsyncClient that can be called like a Client."""

    def __init__(self, url: str, loop: Loop) -> None:
        self._loop = loop
        self._client = AsyncClient(url)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._loop.run(method(*args, **kwargs))

    def follow_logs(self, task_id: int) -> Iterator[Any]:
        lines = self._client.follow_logs(task_id)
        while True:
            try:
                yield self._loop.run(anext(lines))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.stop()


@pytest.fixture(params=["blocking", "async"])
def client(request: pytest.FixtureRequest, url: str, loop: Loop) -> Iterator[Client]:
    """A client of the test's database. Those who read the type see a Client; what they hold may be the other one."""
    made: Any = Client(url) if request.param == "blocking" else BlockingAsyncClient(url, loop)
    yield made
    made.close()


@pytest.fixture
def pool(url: str) -> Iterator[ConnectionPool[Any]]:
    """A pool such as an application has."""
    with ConnectionPool(url, min_size=1, max_size=2, open=True) as pool:
        yield pool
