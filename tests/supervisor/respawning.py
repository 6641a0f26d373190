"""Kill one child after the other, and look at what the supervisor keeps of them."""

from __future__ import annotations

import os
import random
import signal
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .processes import children, descriptors, threads
from .service import Service

#: No limit but that of the machine.
UNLIMITED: dict[str, float] = {"intensity": 10**6, "first_delay": 0.001, "longest_delay": 0.01}


class Holdings(NamedTuple):
    """Of a process. Only with /proc."""

    descriptors: int
    threads: int
    resident: int  # bytes

    @staticmethod
    def of(pid: int) -> Holdings:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return Holdings(len(descriptors(pid)), threads(pid), pages * os.sysconf("SC_PAGESIZE"))


def _has_successor(service: Service, position: int) -> bool:
    said = service.log_since(position)
    return b" is ready" in said or b"started exporter" in said


def respawn(service: Service, times: int, chance: random.Random) -> None:
    """Kill a random worker, or the exporter, so many times, each time once all are there."""
    size = len(children(service.pid))
    for number in range(1, times + 1):
        before = service.log_position()
        victim = chance.choice(children(service.pid))
        os.kill(victim, chance.choice([signal.SIGKILL, signal.SIGABRT, signal.SIGTERM]))
        service.wait_gone(victim)
        service.wait_until(partial(_has_successor, service, before), patience=30.0)
        assert len(children(service.pid)) == size, f"respawn {number}"
