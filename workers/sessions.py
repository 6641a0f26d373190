"""The database connections of one worker, by purpose, so that none of them waits for a slower one."""

from __future__ import annotations

from collections.abc import Callable

from durable.config import Config
from durable.store.session import Session
from workers.listener import Listener


class Sessions:
    """Four connections besides the listener's: the journal writer, claims and heartbeat, readers, the sweep."""

    def __init__(self, url: str, config: Config) -> None:
        self.url = url
        self._config = config
        self.writer = self._session("writer")
        self.control = self._session("control")
        self.reader = self._session("reader")
        self.sweep = self._session("sweep")

    def listener(self, on_task: Callable[[int | None], None], on_notification: Callable[[int], None]) -> Listener:
        return Listener(self.url, on_task, on_notification)

    async def close(self) -> None:
        for session in (self.writer, self.control, self.reader, self.sweep):
            await session.close()

    def _session(self, purpose: str) -> Session:
        return Session(
            self.url, purpose,
            timeout=self._config.heartbeat_timeout / 3,
            idle_in_transaction=self._config.idle_in_transaction_timeout,
        )  # fmt: skip
