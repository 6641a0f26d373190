"""What the soak calls bounded, and what not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.samples import MIB, Bounds, Sample, Use, verdict

BOUNDS = Bounds(connections=26, backlog=1000)
SECONDS = 60


def use(memory: float = 80.0, descriptors: int = 20, threads: int = 5) -> Use:
    return Use(round(memory * MIB), descriptors, threads)


def steady(number: int) -> Sample:
    """Everything goes up and down a little, and nothing grows."""
    ripple = number % 3
    return Sample(
        number * SECONDS, use(30), (use(80 + ripple), use(81 + ripple, 20 + ripple)), connections=20 + ripple,
        tables=(50 + ripple) * MIB, unfinished=100 + ripple, ended_badly=0,
    )  # fmt: skip


def wrong(change: Callable[[int, Sample], Sample]) -> list[str]:
    """Of a run of four hours."""
    return verdict([change(number, steady(number)) for number in range(240)], BOUNDS)


def test_a_steady_service_is_bounded() -> None:
    assert wrong(lambda number, sample: sample) == []


def test_what_happens_while_it_warms_up_does_not_count() -> None:
    cold = use(memory=20, descriptors=5, threads=1)
    assert wrong(lambda number, sample: replace(sample, supervisor=cold) if number < 70 else sample) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda n, s: replace(s, workers=(use(80 + n / 10), *s.workers[1:])), "the memory of the worker 1 grew by 1"),
        (lambda n, s: replace(s, supervisor=use(30, 10 + n // 6)), "the descriptors of the supervisor grew from 36"),
        (lambda n, s: replace(s, workers=(s.workers[0], use(threads=5 + n // 5))), "the threads of the worker 2"),
        (lambda n, s: replace(s, connections=20 + n // 30), "27 connections were open, 26 are allowed"),
        (lambda n, s: replace(s, tables=(50 + n) * MIB), "the tables grew from 209 to 270 MiB"),
        (lambda n, s: replace(s, unfinished=1001), "1001 tasks were waiting or running at one time"),
        (lambda n, s: replace(s, ended_badly=1), "1 tasks did not complete"),
    ],
)  # fmt: skip
def test_what_grows_is_named(change: Callable[[int, Sample], Sample], sentence: str) -> None:
    said = wrong(change)
    assert len(said) == 1, said
    assert said[0].startswith(sentence)
