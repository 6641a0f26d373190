"""Contests as benchmarks: every round measures each contestant once, in turn, so that all have the same weather."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from benchmarks.figures import Figure, figure, percentiles
from benchmarks.peers import contests
from benchmarks.peers.catalogue import CONTESTANTS, LAUNCHERS
from benchmarks.peers.contestant import Contestant
from benchmarks.stage import Stage

_STEPS = 10

T = TypeVar("T")


def no_op(stage: Stage) -> Iterator[Figure]:
    """Workflows or jobs that do nothing, drained by two processes."""
    drains = _interleaved(stage, CONTESTANTS, lambda contestant: contests.drain(stage, contestant, "noop"))
    yield from _compared("no-op", "tasks/s", drains, 1)


def steps(stage: Stage) -> Iterator[Figure]:
    """Workflows of ten recorded steps, drained by two processes: those that can record steps."""
    durable = [one for one in CONTESTANTS if "steps" in one.drains]
    drains = _interleaved(stage, durable, lambda contestant: contests.drain(stage, contestant, "steps"))
    yield from _compared("recorded steps", "steps/s", drains, _STEPS)


def launch(stage: Stage) -> Iterator[Figure]:
    """Launches in batches of a thousand, for those whose interface takes batches."""
    rates = _interleaved(stage, LAUNCHERS, lambda contestant: contests.launches(stage, contestant))
    yield from _with_ratios("batched launch", "tasks/s", rates)


def latency(stage: Stage) -> Iterator[Figure]:
    """From launch to start on two idle processes."""
    delays = _interleaved(stage, CONTESTANTS, lambda contestant: contests.start_delays(stage, contestant))
    for name, rounds in delays.items():
        yield from percentiles(f"launch → start, {name}", "ms", rounds)


def recovery(stage: Stage) -> Iterator[Figure]:
    """From kill -9 of a process to the other one going on; all wait at once, each is measured once."""
    with ThreadPoolExecutor(len(CONTESTANTS)) as pool:
        found = list(pool.map(lambda contestant: contests.recovery(stage, contestant), CONTESTANTS))
    for contestant, seconds in zip(CONTESTANTS, found, strict=True):
        if seconds is None:
            yield figure(f"kill -9 → goes on, {contestant.name}: not within", "s", [contests.RECOVERY_TIMEOUT])
        else:
            yield figure(f"kill -9 → goes on, {contestant.name}", "s", [seconds])


def _interleaved(
    stage: Stage, contestants: Sequence[Contestant], measure: Callable[[Contestant], T]
) -> dict[str, list[T]]:
    """What each found in the rounds. One that fails is left out from then on, and the others go on."""
    found: dict[str, list[T]] = {contestant.name: [] for contestant in contestants}
    for _ in range(stage.rounds):
        for contestant in contestants:
            if contestant.name in found:
                try:
                    found[contestant.name].append(measure(contestant))
                except Exception:
                    print(f"{contestant.name} failed:", file=sys.stderr)
                    traceback.print_exc()
                    del found[contestant.name]
    return found


def _compared(what: str, unit: str, drains: dict[str, list[contests.Drain]], steps: int) -> Iterator[Figure]:
    """Rates and ratios, and the CPU time of all processes for one, which does not count what others have taken."""
    rates = {name: [drain.rate * steps for drain in rounds] for name, rounds in drains.items()}
    yield from _with_ratios(what, unit, rates)
    for name, rounds in drains.items():
        yield figure(f"… CPU of all processes for one, {name}", "µs", [drain.cpu / steps for drain in rounds])


def _with_ratios(what: str, unit: str, rates: dict[str, list[float]]) -> Iterator[Figure]:
    """The rates, then how many times as fast durable was in the same round."""
    for name, values in rates.items():
        yield figure(f"{what}, {name}", unit, values)
    ours = rates["durable"]
    for name, values in rates.items():
        if name != "durable":
            yield figure(
                f"… durable / {name}", "times", [mine / other for mine, other in zip(ours, values, strict=True)]
            )
