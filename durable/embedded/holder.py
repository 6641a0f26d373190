"""A supervisor's claim on the embedded server: the last one to leave stops it."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from durable.embedded.errors import foreign_errors
from durable.embedded.lock import FileLock

if TYPE_CHECKING:
    from durable.embedded.server import EmbeddedServer


class Holder:
    """Keeps the server from being stopped between enter and exit; see `EmbeddedServer.hold`.

    The kernel ends the claim of a killed process, once the children that it forked are dead too. The server
    then runs on, to be found by the next command and stopped by the next last holder.
    """

    def __init__(self, server: EmbeddedServer, path: Path, timeout: float) -> None:
        self._server = server
        self._path = path
        self._timeout = timeout
        self._lock: FileLock | None = None
        self._process = 0
        self.url = ""  #: connection URL, from enter on

    def __enter__(self) -> Holder:
        with foreign_errors(self._path.parent):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._path)
        try:
            lock.share(self._timeout)
            self.url = self._server.ensure_running()
        except BaseException:
            lock.release()
            raise
        self._lock, self._process = lock, os.getpid()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A forked worker that leaves the same block must not stop the server under its supervisor.
        if self._lock is None or self._process != os.getpid():
            return
        lock, self._lock = self._lock, None
        try:
            if lock.try_exclude():
                self._server.stop("fast")
        finally:
            lock.release()
