"""Locks between processes that the kernel takes back when their holder dies (flock)."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from durable.embedded.errors import EmbeddedPostgresError
from durable.embedded.private import open_private
from durable.embedded.waiting import patiently


class FileLock:
    """One use of a lock file. Forked children share it, until one calls `release` or all are dead."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = open_private(path)

    def share(self, timeout: float) -> None:
        """Hold it together with others. Raises EmbeddedPostgresError after `timeout` seconds."""
        self._acquire(fcntl.LOCK_SH, timeout)

    def exclude(self, timeout: float) -> None:
        """Hold it alone. Raises EmbeddedPostgresError after `timeout` seconds."""
        self._acquire(fcntl.LOCK_EX, timeout)

    def try_exclude(self) -> bool:
        """Hold it alone if nobody else has it. A share held before is lost even if not (flock's rule)."""
        return self._attempt(fcntl.LOCK_EX)

    def release(self) -> None:
        # Closing alone would leave it with every child that was forked in the meantime.
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def _acquire(self, operation: int, timeout: float) -> None:
        for _ in patiently(timeout):
            if self._attempt(operation):
                return
        raise EmbeddedPostgresError(
            f"another process has kept {self._path} locked for {timeout:.0f} s",
            f"see who uses it with `fuser {self._path}`",
        )

    def _attempt(self, operation: int) -> bool:
        try:
            fcntl.flock(self._descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def alone(path: Path, timeout: float) -> Iterator[None]:
    """Hold the lock file `path` alone. Raises EmbeddedPostgresError after `timeout` seconds."""
    lock = FileLock(path)
    try:
        lock.exclude(timeout)
        yield
    finally:
        lock.release()
