"""What the kernel says a process uses. Linux only: /proc."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

MIB = 1024**2
_MOMENT = 0.25  # seconds
_HARDLY = 0.02  # of one CPU


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time used so far by these processes. schedstat counts nanoseconds, where stat counts ticks of 10 ms."""
    return sum(_nanoseconds(pid) for pid in pids) / 1e9


def _nanoseconds(pid: int) -> int:
    """Of all threads. None for a process that has just ended, such as one that vacuums."""
    try:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return 0


def resident_bytes(pid: int) -> int:
    """RSS: every page that the process has in memory, those that it shares with others too."""
    return _rollup(pid)["Rss"]


def proportional_bytes(pid: int) -> int:
    """PSS: a page that n processes share counts as 1/n. Workers are forked, so the sum of their RSS says too much."""
    return _rollup(pid)["Pss"]


def _rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return {name.rstrip(":"): int(kib) * 1024 for name, kib, *_ in fields}


def wait_until_idle(pids: Sequence[int], timeout: float = 30.0) -> None:
    """Return when these processes have hardly computed for a moment."""
    deadline = time.monotonic() + timeout
    used = cpu_seconds(pids)
    while True:
        time.sleep(_MOMENT)
        before, used = used, cpu_seconds(pids)
        if used - before < _MOMENT * _HARDLY * len(pids):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the processes {list(pids)} were busy for {timeout:g} s")
