"""A PostgreSQL that answers when it likes: its processes stand still for some milliseconds, now this one, now that."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.supervisor.processes import children

_STILL = (0.0005, 0.003, 0.01)  # seconds
_BETWEEN = (0.0, 0.0005, 0.002)


@contextmanager
def unsteady(postmaster: int) -> Iterator[None]:
    """All processes of this server are stopped and continued at random, all the time, until the block is left."""
    ended = threading.Event()
    nemeses = [threading.Thread(target=_stop_and_go, args=(postmaster, ended)) for _ in range(2)]
    for nemesis in nemeses:
        nemesis.start()
    try:
        yield
    finally:
        ended.set()
        for nemesis in nemeses:
            nemesis.join()


def _stop_and_go(postmaster: int, ended: threading.Event) -> None:
    chance = random.Random()
    while not ended.is_set():
        pid = chance.choice([postmaster, *children(postmaster)])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            try:
                time.sleep(chance.choice(_STILL))
            finally:
                os.kill(pid, signal.SIGCONT)
        time.sleep(chance.choice(_BETWEEN))
