"""Counters, gauges and histograms over the numbers of a process.

A label has a fixed set of values, all of which exist from the start: a value that was not foreseen is a KeyError, and
nothing can make the number of series grow.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from durable.metrics.cells import Cells


@dataclass(frozen=True, slots=True)
class About:
    """What a metric is called and what it means. A counter's name ends in `_total`, a unit is part of the name."""

    name: str
    help: str


class Counter:
    """A number that only grows, also beyond the death of its process."""

    def __init__(self, cells: Cells, about: About) -> None:
        self.about = about
        self._cells = cells
        self.place = cells.reserve(1)

    def inc(self, amount: float = 1) -> None:
        if amount:
            with self._cells.lock:
                self._cells.values[self.place] += amount


class CounterFamily:
    """A counter for each value of one label: `family[value].inc()`."""

    def __init__(self, cells: Cells, about: About, label: str, values: Sequence[str]) -> None:
        self.about = about
        self.label = label
        self.counters = {value: Counter(cells, about) for value in values}

    def __getitem__(self, value: str) -> Counter:
        return self.counters[value]


class Gauge:
    """What is the case in a process now, 0 once it has died. Two processes of one worker, of which one goes and one
    comes, are added up; of a time the later one counts.
    """

    def __init__(self, cells: Cells, about: About, *, is_time: bool = False) -> None:
        self.about = about
        self.is_time = is_time
        self._cells = cells
        self.place = cells.reserve(1, dies_with_process=True)

    def combine(self, values: Iterable[float]) -> float:
        return max(values) if self.is_time else sum(values)

    def inc(self, amount: float = 1) -> None:
        with self._cells.lock:
            self._cells.values[self.place] += amount

    def dec(self, amount: float = 1) -> None:
        self.inc(-amount)

    def set(self, value: float) -> None:
        with self._cells.lock:
            self._cells.values[self.place] = value


class Histogram:
    """Observations, counted by the smallest of the given upper bounds that holds them."""

    def __init__(self, cells: Cells, about: About, bounds: Sequence[float]) -> None:
        self.about = about
        self.bounds = tuple(bounds)
        self._cells = cells
        self.sum_place = cells.reserve(1)
        self.first_place = cells.reserve(len(self.bounds) + 1)  # the last one for what is above all bounds

    def observe(self, value: float) -> None:
        """A negative value, as two clocks may make one, counts as 0: the sum of a histogram must not go down."""
        if value < 0:
            value = 0.0
        bucket = self.first_place + bisect_left(self.bounds, value)
        with self._cells.lock:
            self._cells.values[self.sum_place] += value
            self._cells.values[bucket] += 1

    def observe_all(self, values: Iterable[float]) -> None:
        for value in values:
            self.observe(value)


Instrument = Counter | CounterFamily | Gauge | Histogram
