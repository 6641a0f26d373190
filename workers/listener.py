"""LISTEN: hints that make a worker look earlier than its poll would. Losing all of them loses nothing but time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

import psycopg

from durable import metrics
from durable.failed_login import no_socket_kept
from durable.store.problems import kind_of

_log = logging.getLogger("durable.listener")
_RECONNECT_AFTER = 1.0


class Listener:
    """Runs as one asyncio task. `on_task` is called with a task's id when it may be ready, or anybody's no more;
    `on_notification` with the id of its receiver.

    After a new connection both kinds of hint may have been missed, so `on_task` is called then, too, with None.
    """

    def __init__(self, url: str, on_task: Callable[[int | None], None], on_notification: Callable[[int], None]) -> None:
        self._url = url
        self._on_task = on_task
        self._on_notification = on_notification

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (psycopg.Error, OSError) as error:
                metrics.db_errors[kind_of(error)].inc()
                _log.debug("listening ended (%s); the poll goes on", error)
            await asyncio.sleep(_RECONNECT_AFTER)

    async def _listen(self) -> None:
        with no_socket_kept():
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=5, application_name="durable listener",
                keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
            )  # fmt: skip
        async with connection:
            await connection.execute('LISTEN "durable:task"')
            await connection.execute('LISTEN "durable:notification"')
            self._on_task(None)
            async for notify in connection.notifies():
                self._pass_on(notify.channel, notify.payload)

    def _pass_on(self, channel: str, payload: str) -> None:
        try:
            if channel == "durable:task":
                self._on_task(int(json.loads(payload)["id"]))
            else:
                self._on_notification(int(json.loads(payload)["task_id"]))
        except (ValueError, KeyError, TypeError):
            _log.debug("ignored a hint that is none: %.100s", payload)
