"""What the operating system says about a process, where it says it without help: under /proc, or else through
ps(1).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
HAS_PROC = (PROC / "self/fd").exists()


def state(pid: int) -> str | None:
    """One letter as of ps(1), Z for a zombie; None when there is no such process."""
    if not HAS_PROC:
        ps = ["ps", "-o", "stat=", "-p", str(pid)]
        return subprocess.run(ps, capture_output=True, text=True, check=False).stdout.strip()[:1] or None
    try:
        stat = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return stat.rpartition(")")[2].split()[0]


def is_gone(pid: int) -> bool:
    """It runs no more; whether its new parent has reaped it is not our business."""
    return state(pid) in (None, "Z", "X")


def children(pid: int) -> list[int]:
    """Only with /proc."""
    try:
        return [int(child) for child in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def processor_seconds(pid: int) -> float:
    """That it has used so far. Only with /proc."""
    fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads(pid: int) -> int:
    """Only with /proc."""
    return len(os.listdir(PROC / f"{pid}/task"))


def descriptors(pid: int) -> list[str]:
    """What they refer to, one entry for each. Only with /proc."""
    folder = PROC / f"{pid}/fd"
    return [os.readlink(folder / number) for number in os.listdir(folder)]
