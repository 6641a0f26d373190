"""What a benchmark brings: figures, each measured once per round."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """`values` has one entry per round, in `unit`. The median stands for all of them, the extremes show the spread."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)


def figure(name: str, unit: str, values: Sequence[float]) -> Figure:
    return Figure(name, unit, tuple(values))


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` of all samples do not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def percentiles(name: str, unit: str, rounds: Sequence[Sequence[float]]) -> tuple[Figure, Figure]:
    """p50 and p99 of each round."""
    p50, p99 = (
        figure(f"{name}, p{percent}", unit, [percentile(one, percent) for one in rounds]) for percent in (50, 99)
    )
    return p50, p99
