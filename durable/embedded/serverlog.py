"""The server's log file: kept small, and asked for the reason when a start fails."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from durable.embedded.private import open_private

LARGEST = 8 * 1024 * 1024  # bytes; looked at when a server starts, one older file is kept


class ServerLog:
    """`postgres.log` in the data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = 0

    @contextmanager
    def opened(self) -> Iterator[int]:
        """A descriptor for the server to write to; `reason` then looks at what comes after."""
        self._make_room()
        descriptor = open_private(self.path)
        try:
            self._mark = os.fstat(descriptor).st_size
            yield descriptor
        finally:
            os.close(descriptor)

    def reason(self, pid: int) -> str:
        """Why the server `pid`, started last, gave up: its first FATAL message, else that of the recovery, else its
        last line.
        """
        with self.path.open(errors="replace") as log:
            log.seek(self._mark)
            lines = log.read().splitlines()
        # Backends of a killed server may write here at the same time.
        own = [line for line in lines if f"[{pid}]" in line] or lines
        recovering = re.findall(r"startup process \(PID (\d+)\) ", "\n".join(own))
        of_recovery = [line for line in lines if any(f"[{one}]" in line for one in recovering)]
        return (_fatal(own) or _fatal(of_recovery) or own[-1:] or ["it said nothing"])[0]

    def _make_room(self) -> None:
        with suppress(FileNotFoundError):
            if self.path.stat().st_size > LARGEST:
                self.path.replace(self.path.with_suffix(".log.1"))


def _fatal(lines: list[str]) -> list[str]:
    """What ended a process, of each that says so."""
    return re.findall(r"(?:FATAL|PANIC): +(.*)", "\n".join(lines))
