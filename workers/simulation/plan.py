"""What happens in a run, drawn move by move."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from durable.model import TaskState
from workers.simulation.guest_simulation import GuestSimulation
from workers.simulation.simulation import Simulation

_MOST_TASKS = 6


def begin(simulation: Simulation, chance: random.Random) -> None:
    """The workers start, and some tasks are there already."""
    simulation.lose_hints(chance.choice([0.0, 0.5, 1.0]))
    for slot in range(simulation.workers):
        simulation.start(slot)
    simulation.launch()
    if isinstance(simulation, GuestSimulation):
        simulation.deadly = chance.choice([0.0, 0.0, 0.02])
        for _ in range(chance.randint(1, 3)):
            simulation.launch()
    simulation.judge()


def make_a_move(simulation: Simulation, chance: random.Random) -> None:
    """Let one thing happen, and judge."""
    moves, weights = zip(*(_GUEST_MOVES if isinstance(simulation, GuestSimulation) else _COMPONENT_MOVES), strict=True)
    (move,) = chance.choices(moves, weights)
    move(simulation, chance)
    simulation.judge()


def _slot(simulation: Simulation, chance: random.Random) -> int:
    """Mostly one where it hurts."""
    busy = simulation.busy
    return chance.choice(busy) if busy and chance.random() < 0.8 else chance.randrange(simulation.workers)


def _task(simulation: Simulation, chance: random.Random) -> int:
    """Rarely one that is not there."""
    return chance.choice([*list(simulation.tasks) * 5, 1000])


def _work(simulation: Simulation, chance: random.Random) -> None:
    """By little steps while there is something to hit."""
    simulation.work(chance.choice([1, 2, 4, 8, 20]) if simulation.busy else 30)


def _pass_time(simulation: Simulation, chance: random.Random) -> None:
    simulation.pass_time(chance.choice([0.001, 0.02, 1.0, 7.0, 11.0, 31.0]))


def _launch(simulation: Simulation, chance: random.Random) -> None:
    if len(simulation.tasks) < _MOST_TASKS:
        simulation.launch()


def _notify(simulation: Simulation, chance: random.Random) -> None:
    simulation.notify(_task(simulation, chance), chance.randint(1, 3))


def _begin_notify(simulation: Simulation, chance: random.Random) -> None:
    simulation.begin_notify(_task(simulation, chance))


def _end_notify(simulation: Simulation, chance: random.Random) -> None:
    simulation.end_notify(commit=chance.random() < 0.7)


def _send_slowly(simulation: Simulation, chance: random.Random) -> None:
    """A notification is committed after its task has been suspended, which was running when it was sent."""
    running = [task.id for task in simulation.now.tasks.values() if task.state is TaskState.ACTIVE]
    simulation.begin_notify(chance.choice(running) if running else _task(simulation, chance))
    simulation.work(40)
    simulation.pass_time(7.0)
    simulation.work(chance.choice([20, 40, 80]))
    simulation.judge()
    simulation.end_notify(commit=True)


def _cancel(simulation: Simulation, chance: random.Random) -> None:
    simulation.cancel(_task(simulation, chance))


def _pause(simulation: Simulation, chance: random.Random) -> None:
    simulation.pause(_task(simulation, chance))


def _resume(simulation: Simulation, chance: random.Random) -> None:
    simulation.resume(_task(simulation, chance))


def _start(simulation: Simulation, chance: random.Random) -> None:
    for slot in range(simulation.workers):
        simulation.start(slot)


def _kill(simulation: Simulation, chance: random.Random) -> None:
    simulation.kill(_slot(simulation, chance), noticed=chance.random() < 0.5)


def _stop(simulation: Simulation, chance: random.Random) -> None:
    simulation.stop(_slot(simulation, chance), freezes=chance.random() < 0.3)


def _go_on(simulation: Simulation, chance: random.Random) -> None:
    for slot in range(simulation.workers):
        simulation.go_on(slot)


def _usurp(simulation: Simulation, chance: random.Random) -> None:
    """A worker is stopped for longer than its leases hold, comes back, and believes that they are still its own."""
    slot = _slot(simulation, chance)
    simulation.stop(slot, freezes=chance.random() < 0.5)
    simulation.pass_time(31.0)
    simulation.work(chance.choice([40, 80, 150]))
    simulation.judge()
    simulation.go_on(slot)


def _drain(simulation: Simulation, chance: random.Random) -> None:
    simulation.drain(_slot(simulation, chance))


def _cut(simulation: Simulation, chance: random.Random) -> None:
    simulation.cut(_slot(simulation, chance))


Moves = Sequence[tuple[Callable[[Simulation, random.Random], None], float]]

_GUEST_MOVES: Moves = (
    (_work, 45), (_notify, 6), (_pass_time, 5), (_start, 12), (_kill, 9), (_stop, 4), (_go_on, 6), (_usurp, 4),
    (_drain, 2), (_cut, 5), (_launch, 6), (_begin_notify, 4), (_end_notify, 4), (_send_slowly, 3), (_cancel, 0.5),
    (_pause, 2), (_resume, 3),
)  # fmt: skip
#: One task has fewer moments at which a fault hurts, so there are more faults.
_COMPONENT_MOVES: Moves = (
    (_work, 45), (_notify, 8), (_pass_time, 5), (_start, 25), (_kill, 20), (_stop, 7), (_go_on, 10), (_usurp, 4),
    (_drain, 4), (_cut, 8),
)  # fmt: skip
