"""A model test: Hypothesis chooses what happens, and shrinks what breaks a promise to the few moves that do."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.proof import figure
from workers.simulation import SimulatedDatabase
from workers.simulation.guest_simulation import GuestSimulation
from workers.simulation.scheduler import nothing_by_real_time

SLOTS = st.integers(0, 2)
TASKS = st.integers(1, 4)


class Machine(RuleBasedStateMachine):
    """Three workers and their clients. What no rule decides follows from a seed that is drawn first."""

    database: SimulatedDatabase

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._simulation: GuestSimulation | None = None
        self._is_broken = False

    @property
    def simulation(self) -> GuestSimulation:
        assert self._simulation is not None
        return self._simulation

    @initialize(seed=st.integers(0, 2**32 - 1), tasks=TASKS)
    def begin(self, seed: int, tasks: int) -> None:
        chance = random.Random(seed)
        self._stack.enter_context(nothing_by_real_time())
        self._simulation = GuestSimulation(self.database, chance)
        self._stack.callback(self._simulation.close)
        for slot in range(3):
            self._simulation.start(slot)
        for _ in range(tasks):
            self._simulation.launch()

    @rule(steps=st.integers(1, 40))
    def work(self, steps: int) -> None:
        self.simulation.work(steps)

    @rule(seconds=st.sampled_from([0.001, 0.02, 1.0, 7.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.simulation.pass_time(seconds)

    @precondition(lambda self: len(self.simulation.tasks) < 6)
    @rule()
    def launch(self) -> None:
        self.simulation.launch()

    @rule(task=TASKS, times=st.integers(1, 3))
    def notify(self, task: int, times: int) -> None:
        self.simulation.notify(task, times)

    @rule(task=TASKS)
    def begin_notify(self, task: int) -> None:
        self.simulation.begin_notify(task)

    @rule(commit=st.booleans())
    def end_notify(self, commit: bool) -> None:
        self.simulation.end_notify(commit)

    @rule(slot=SLOTS)
    def start(self, slot: int) -> None:
        self.simulation.start(slot)

    @rule(slot=SLOTS, noticed=st.booleans())
    def kill(self, slot: int, noticed: bool) -> None:
        self.simulation.kill(slot, noticed=noticed)

    @rule(slot=SLOTS, freezes=st.booleans())
    def stop(self, slot: int, freezes: bool) -> None:
        self.simulation.stop(slot, freezes=freezes)

    @rule(slot=SLOTS)
    def go_on(self, slot: int) -> None:
        self.simulation.go_on(slot)

    @rule(slot=SLOTS)
    def drain(self, slot: int) -> None:
        self.simulation.drain(slot)

    @rule(slot=SLOTS)
    def cut(self, slot: int) -> None:
        self.simulation.cut(slot)

    @rule(how_often=st.sampled_from([0.0, 0.5, 1.0]))
    def lose_hints(self, how_often: float) -> None:
        self.simulation.lose_hints(how_often)

    @rule(task=TASKS)
    def pause(self, task: int) -> None:
        self.simulation.pause(task)

    @rule(task=TASKS)
    def resume(self, task: int) -> None:
        self.simulation.resume(task)

    @rule(task=TASKS)
    def cancel(self, task: int) -> None:
        self.simulation.cancel(task)

    @invariant()
    def every_promise_holds(self) -> None:
        if self._simulation is None:
            return
        self._is_broken = True
        self.simulation.judge()
        self._is_broken = False

    def teardown(self) -> None:
        with self._stack:
            if self._simulation is not None and not self._is_broken:
                self.simulation.heal()
                self.simulation.check_replays()


def run(database: SimulatedDatabase, examples: int) -> None:
    machine: Any = type("MachineWithDatabase", (Machine,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=50, deadline=None, print_blob=True,
            suppress_health_check=list(HealthCheck), database=None,
        ),
    )  # fmt: skip


@pytest.mark.proof(minutes=1)
@pytest.mark.timeout(1800)
def test_no_sequence_of_moves_breaks_a_promise(simulated: SimulatedDatabase) -> None:
    run(simulated, figure(5, 40))
