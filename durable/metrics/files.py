"""The numbers of several processes of one host, each in a file of its own in one folder.

A file is named after what a process is for, `worker-1`, and not after its pid: the successor of a dead worker goes on
with its counters, so the number of files has a bound and no counter goes backwards. The first number is the pid of the
process that has the file.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
from collections.abc import MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from durable.metrics.cells import CELL_BYTES

_HEADER = 1  # numbers before those of the metrics: the pid
_SUFFIX = ".cells"


@dataclass(frozen=True, slots=True)
class Process:
    """What a process, or its predecessors, had counted when its file was read. `pid` is that of the last one."""

    name: str
    pid: int
    values: list[float]

    @property
    def is_alive(self) -> bool:
        if not self.pid:  # the file is being made
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and somebody else's
        return True


def open_for(folder: Path, process: str, count: int) -> MutableSequence[float]:
    """The numbers of this process, to be read and written, as its predecessor left them. Raises OSError.

    Two processes never write to one file: should a predecessor still live, as in a rolling replacement, there is
    another file of the same name.
    """
    for number in itertools.count():
        descriptor = os.open(folder / f"{process}.{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _mapped(descriptor, count)
        except BlockingIOError:
            os.close(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
    raise AssertionError("unreachable")


def read_all(folder: Path, count: int) -> list[Process]:
    """The numbers of all processes that have a file in the folder, by the names of the files."""
    found: list[Process] = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        # A file that is being made has no size yet; one that is gone was the folder's, at the end of the service.
        with suppress(FileNotFoundError, ValueError):
            pid, *values = _read(path, count)
            found.append(Process(path.name.split(".")[0], int(pid), values))
    return found


def _mapped(descriptor: int, count: int) -> MutableSequence[float]:
    """The descriptor stays open as long as the process lives: with it goes the lock."""
    size = (_HEADER + count) * CELL_BYTES
    _allocate(descriptor, size)
    cells = memoryview(mmap.mmap(descriptor, size)).cast("d")
    cells[0] = os.getpid()
    return cells[_HEADER:]  # type: ignore[return-value]  # a memoryview has all that is used of a sequence


def _allocate(descriptor: int, size: int) -> None:
    """On a full disk this fails, where a write into a file with holes would end the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _read(path: Path, count: int) -> list[float]:
    """Mapped as well, so that each number is read in one piece. Raises ValueError for a file that is not complete."""
    size = (_HEADER + count) * CELL_BYTES
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped).cast("d") as cells,
    ):
        return [float(cell) for cell in cells]
