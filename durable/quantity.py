"""Durations and sizes as people write them: `10`, `"10s"`, `"256MiB"`. Pure."""

from __future__ import annotations

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")

DURATION_HELP = "write seconds, or a number and a unit: 20ms, 10s, 5m, 24h, 7d"
SIZE_HELP = "write bytes, or a number and a unit: 64KiB, 256MiB, 1GiB"


def duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as `"20ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`.

    Raises ValueError, with the ways to write it.
    """
    number, unit = _split(value, DURATION_HELP)
    if unit not in ("", *_SECONDS):
        raise ValueError(DURATION_HELP)
    # Divided, because 20 * 0.001 is not 0.02.
    return number / 1000 if unit == "ms" else number * _SECONDS.get(unit, 1.0)


def size(value: object) -> int:
    """Bytes from a number of bytes or a text such as `"64KiB"`, `"256MiB"`. Raises ValueError."""
    number, unit = _split(value, SIZE_HELP)
    total = number * _BYTES.get(unit, 1)
    if unit not in ("", *_BYTES) or total != int(total):
        raise ValueError(SIZE_HELP)
    return int(total)


def show_duration(seconds: float) -> str:
    """The shortest exact text: 604800 is `7d`, 0.02 is `20ms`."""
    for unit, length in reversed(_SECONDS.items()):
        count = seconds / length
        if count >= 1 and math.isclose(count, round(count), rel_tol=1e-12):
            return f"{round(count)}{unit}"
    return f"{seconds:g}s"


def show_size(count: int) -> str:
    """The shortest exact text: 268435456 is `256MiB`."""
    for unit, length in reversed(_BYTES.items()):
        if length > 1 and count >= length and count % length == 0:
            return f"{count // length}{unit}"
    return f"{count}B"


def _split(value: object, help: str) -> tuple[float, str]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(help)
    if isinstance(value, str):
        found = _NUMBER.fullmatch(value)
        if found is None:
            raise ValueError(help)
        return float(found[1]), found[2]
    if not math.isfinite(value) or value < 0:
        raise ValueError(help)
    return value, ""
