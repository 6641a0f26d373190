"""Many small reads as one: what is asked for while a query is under way goes into the next one.

A thousand tasks that are woken at the same moment each want the first page of their journal; one round trip serves a
hundred of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

#: Requests in one query, so that an answer stays small and nobody waits for long.
MAX_TOGETHER = 100


class Coalescer(Generic[K, V]):
    """`fetch` answers a list of requests with a list of values in the same order, or raises for all of them."""

    def __init__(self, fetch: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        self._fetch = fetch
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._running: asyncio.Task[None] | None = None

    async def get(self, request: K) -> V:
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="coalesced reads")
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                # Those who were stopped meanwhile need no answer.
                await self._serve([(request, answer) for request, answer in batch if not answer.done()])
        finally:
            self._running = None

    async def _serve(self, batch: list[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            values = await self._fetch([request for request, _ in batch]) if batch else ()
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    # One exception object for all would gather the tracebacks of all.
                    answer.set_exception(type(error)(*error.args))
            return
        for (_, answer), value in zip(batch, values, strict=True):
            if not answer.done():
                answer.set_result(value)
