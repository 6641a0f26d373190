"""Runs, each from a seed of its own, and what came of them."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from durable.config import Config
from durable.errors import DurableError
from workers.simulation.component_simulation import Component, ComponentSimulation, Loaded
from workers.simulation.database import SimulatedDatabase
from workers.simulation.ending import Ending, Expected
from workers.simulation.guest_simulation import GuestSimulation
from workers.simulation.invariants import Violation
from workers.simulation.plan import begin, make_a_move
from workers.simulation.scheduler import nothing_by_real_time
from workers.simulation.simulation import Simulation

S = TypeVar("S", bound=Simulation)

#: Runs that draw the same random numbers for a component, so that one pair of runs without faults serves them all.
_SAME_ENTROPY = 20
#: Seconds that lie between the quick and the slow run without faults: clocks tell them apart.
_LATER = 1_234_567.875


@dataclass(frozen=True)
class RunResult:
    """What came of one run. `problem` is None when every promise held; `trace` tells what happened, line by line."""

    seed: int
    problem: str | None
    trace: list[str] = field(repr=False)
    count: Counter[str]


def simulate_engine(
    database: SimulatedDatabase, seed: int, *, runs: int, steps: int = 50, workers: int = 3
) -> Iterator[RunResult]:
    """Run guests that try everything; the seeds are `seed`, `seed` + 1, and so on. `steps` counts moves."""
    for one in range(seed, seed + runs):
        yield _run(one, lambda chance: GuestSimulation(database, chance, workers=workers), steps, _nothing_more)


def simulate_component(
    database: SimulatedDatabase, component: Component, seed: int, *, runs: int, steps: int = 50, workers: int = 3,
    config: Config | None = None,
) -> Iterator[RunResult]:  # fmt: skip
    """Run one task of a component under faults. It has to end as it does without any, and its replay likewise.

    `config` has the limits of guests. Raises InvalidComponent; DurableError when the component does not end even
    without faults.
    """
    loaded = Loaded(component)
    settings = config or Config()

    @lru_cache(maxsize=1)
    def expected(entropy: int) -> Expected:
        return _expected(database, loaded, settings, entropy)

    try:
        for one in range(seed, seed + runs):
            entropy = one // _SAME_ENTROPY
            wanted = expected(entropy)

            def new(chance: random.Random, entropy: int = entropy, wanted: Expected = wanted) -> ComponentSimulation:
                return ComponentSimulation(
                    database, chance, loaded, settings, workers=workers, entropy=entropy, expected=wanted
                )

            yield _run(one, new, steps, _compare)
    finally:
        loaded.close()


def _run(seed: int, new: Callable[[random.Random], S], steps: int, at_the_end: Callable[[S], None]) -> RunResult:
    chance = random.Random(seed)
    problem = None
    with nothing_by_real_time(), _without_logs():
        simulation = new(chance)
        try:
            begin(simulation, chance)
            for _ in range(steps):
                if simulation.is_over:
                    break
                make_a_move(simulation, chance)
            simulation.heal()
            simulation.check_replays()
            at_the_end(simulation)
        except Violation as broken:
            problem = str(broken)
        finally:
            simulation.close()
    return RunResult(seed, problem, simulation.trace, simulation.count)


def _nothing_more(simulation: Simulation) -> None:
    """Guests were judged at every step."""


def _compare(simulation: ComponentSimulation) -> None:
    for problem in simulation.unexpected():
        raise Violation(problem)


def _expected(database: SimulatedDatabase, loaded: Loaded, config: Config, entropy: int) -> Expected:
    def ending(began: float, walk: Callable[[Simulation, random.Random], None]) -> Ending:
        chance = random.Random(entropy)
        with nothing_by_real_time(), _without_logs():
            simulation = ComponentSimulation(database, chance, loaded, config, workers=1, entropy=entropy, began=began)
            try:
                simulation.start(0)
                simulation.launch()
                simulation.judge()
                walk(simulation, chance)
                simulation.heal()
                simulation.check_replays()
                return simulation.ending()
            except Violation as broken:
                raise DurableError(f"even without faults: {broken}") from None
            finally:
                simulation.close()

    return Expected.of(ending(0.0, lambda simulation, chance: None), ending(_LATER, _dawdle))


def _dawdle(simulation: Simulation, chance: random.Random) -> None:
    for _ in range(50):
        simulation.work(3)
        simulation.pass_time(chance.choice([0.001, 0.1, 1.0, 3.0]))


@contextmanager
def _without_logs() -> Iterator[None]:
    """What workers have to say about the faults is no news here."""
    kept = {name: logging.getLogger(name).level for name in ("durable", "psycopg")}
    for name in kept:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in kept.items():
            logging.getLogger(name).setLevel(level)
