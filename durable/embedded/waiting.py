"""Bounded waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Iterator

FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.2


def patiently(seconds: float) -> Iterator[float]:
    """Yield the seconds waited so far: at once, then after growing pauses, until `seconds` have passed."""
    start = time.monotonic()
    pause = FIRST_PAUSE
    while (elapsed := time.monotonic() - start) < seconds:
        yield elapsed
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
