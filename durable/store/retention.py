"""Deletes what is kept no longer, in statements that are short whatever they meet."""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import errors

from durable.store.pace import Pace
from durable.store.queries import load
from durable.store.session import Session

_QUERIES = load("sweep")
_WITHIN = "SELECT set_config('statement_timeout', %s, true)"


class RetentionStore:
    """Each method deletes some of it and tells how much; 0 when there is nothing more to delete, or others have it.

    `longest` bounds a statement, in seconds; it is to be well below the session's timeout. Between two of them whoever
    waits for the session gets it.
    """

    def __init__(self, session: Session, longest: float) -> None:
        self._session = session
        self._rows = Pace(1000, 20_000, longest)
        self._programs = Pace(10, 100, longest)

    async def delete_ended_tasks(self, age: float, limit: int) -> int:
        """Up to `limit` tasks that ended more than `age` seconds ago, except those with more rows than a statement
        should delete.
        """
        return await self._delete("delete_ended_tasks", self._rows, limit, age=age)

    async def shorten_ended_task(self, age: float) -> int:
        """Some rows of one task that is too large to be deleted at once: the number of tasks, 1 or 0."""
        return await self._delete("shorten_ended_task", self._rows, 1, age=age)

    async def delete_unused_programs(self, ttl: float) -> int:
        return await self._delete("delete_unused_programs", self._programs, self._programs.rows, ttl=ttl)

    async def _delete(self, query: str, pace: Pace, limit: int, **parameters: Any) -> int:
        while True:
            try:
                return await self._try(query, pace, {**parameters, "limit": min(limit, pace.rows), "rows": pace.rows})
            except _TookTooLong:
                pace.took_too_long()

    async def _try(self, query: str, pace: Pace, parameters: dict[str, Any]) -> int:
        timeout = pace.timeout
        time = asyncio.get_running_loop().time
        async with self._session.use() as connection:
            began = time()
            try:
                async with connection.transaction():
                    await connection.execute(_WITHIN, (f"{(timeout or 0) * 1000:.0f}",))
                    deleted = (await connection.execute(_QUERIES[query], parameters, prepare=True)).rowcount
            except errors.QueryCanceled:
                if timeout is None:
                    raise
                raise _TookTooLong from None
            if deleted:  # how long it takes to find nothing says nothing
                pace.took(time() - began)
            return deleted


class _TookTooLong(Exception):
    """A statement was given up; with less to do it may succeed."""
