"""The engine under simulated faults: no promise is broken, and what breaks one is found."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from durable.embedded import EmbeddedServer
from durable.model import TaskState
from durable.store.session import Session
from tests.proof import IS_FULL, figure, pieces, seed
from tests.simulation.breaking import WAYS, forget_claims, wake_nobody_late
from tests.simulation.unsteady import unsteady
from workers.simulation import SimulatedDatabase, Violation, simulate_engine
from workers.simulation.guest_simulation import GuestSimulation
from workers.simulation.process import Process
from workers.simulation.scheduler import nothing_by_real_time
from workers.simulation.snapshot import TaskRow

RUNS = figure(6, 250)  # of each of eight pieces
MOVES = 50
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.proof(minutes=3)
@pieces(8)
def test_no_promise_is_broken(simulated: SimulatedDatabase, piece: int) -> None:
    total: Counter[str] = Counter()
    for run in simulate_engine(simulated, seed() + piece * RUNS, runs=RUNS, steps=MOVES):
        assert run.problem is None, "\n".join([*run.trace, f"seed {run.seed}: {run.problem}"])
        total.update(run.count)
    print(f"{RUNS} runs of {MOVES} moves:", ", ".join(f"{number} {what}" for what, number in total.items()))
    assert total["events"] > RUNS * 5, "next to nothing has run"
    assert total["kills"] > RUNS / 2, "too few faults"
    if not IS_FULL:
        return
    for what in (
        "kills of a busy worker",
        "deaths while computing",
        "stops",
        "drains",
        "cuts",
        "cancelled",
        "requests",
    ):
        assert total[what] > RUNS / 20, f"too few {what}"
    assert total["leases"] > total["tasks"] * 1.3, "too few tasks had to be begun again"


def test_the_same_seed_makes_the_same_run(simulated: SimulatedDatabase) -> None:
    first, second = (list(simulate_engine(simulated, 4711, runs=2)) for _ in range(2))
    assert [run.trace for run in first] == [run.trace for run in second]
    assert first[0].trace != first[1].trace


@pytest.mark.proof(minutes=2)
def test_a_run_does_not_depend_on_when_the_server_answers(server: EmbeddedServer, simulated: SimulatedDatabase) -> None:
    """Nor whether it answers in one piece: on a busy machine its processes stand still at any moment."""
    first, runs = seed(), figure(3, 30)
    steady = list(simulate_engine(simulated, first, runs=runs))
    assert server.pid is not None
    with unsteady(server.pid):
        for expected, run in zip(steady, simulate_engine(simulated, first, runs=runs), strict=True):
            assert run.trace == expected.trace, f"seed {run.seed}"
    print(f"{runs} runs, step by step as before")


#: Where to begin, to be there soon. Another guest or move makes that another seed, and the search longer.
_NEAR = {
    "an orphan is not made ready": 1002,
    "a stale worker may write": 1006,
    "a request leaves too early": 1050,
    "a failed commit is taken for a good one": 1045,
    "leases are trusted for ever": 1150,
    "a worker that has lost a task writes": 1030,
}
#: What needs a coincidence more than the others would take many runs to be found then.
_RARE = ("a request leaves too early", "a failed commit is taken for a good one", "leases are trusted for ever")
_LONG = pytest.mark.chaos(minutes=2)


@pytest.mark.parametrize("way", [pytest.param(way, marks=[_LONG] * (way in _RARE)) for way in WAYS])
def test_a_broken_engine_is_found(way: str, simulated: SimulatedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    WAYS[way](monkeypatch)
    runs = simulate_engine(simulated, _NEAR.get(way, 1000), runs=400)
    found = next((run for run in runs if run.problem is not None), None)
    assert found is not None, f"not found: {way}"
    print(f"seed {found.seed}: {found.problem}")
    monkeypatch.undo()
    (again,) = simulate_engine(simulated, found.seed, runs=1)
    assert again.problem is None, "what was found is not what was broken"


# -- moments that were wrong once ------------------------------------------------------------------------------------
def one_worker_after(
    database: SimulatedDatabase, moments: range, *, seed: int = 1
) -> Iterator[tuple[int, GuestSimulation]]:
    """A worker with a task, after each of these numbers of steps; what follows must let it come to its end."""
    for moment in moments:
        chance = random.Random(seed)
        with nothing_by_real_time():
            simulation = GuestSimulation(database, chance, workers=1)
            try:
                simulation.start(0)
                simulation.launch()
                simulation.judge()
                simulation.work(moment)
                yield moment, simulation
                simulation.heal()
            finally:
                simulation.close()


def test_a_connection_may_break_at_any_moment(simulated: SimulatedDatabase) -> None:
    for _, simulation in one_worker_after(simulated, range(0, 120, 9)):
        simulation.cut(0)
        simulation.cut(0)


def lose_the_answer_to_a_claim(database: SimulatedDatabase) -> None:
    """The claim is committed, the connection breaks, the worker lives: nobody else will ever look at the task."""
    for _, simulation in one_worker_after(database, range(1)):
        while simulation.now.tasks[1].state is not TaskState.ACTIVE:
            simulation.work(1)
            simulation.judge()
        assert not simulation.busy, "the answer has come"
        for _ in range(5):
            simulation.cut(0)


def test_a_claim_whose_answer_gets_lost_is_handed_back(simulated: SimulatedDatabase) -> None:
    lose_the_answer_to_a_claim(simulated)


def test_without_that_the_task_waits_for_ever(simulated: SimulatedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_claims(monkeypatch)
    with pytest.raises(Violation, match="task 1 is active"):
        lose_the_answer_to_a_claim(simulated)


def commit_what_was_sent_before_a_suspension(database: SimulatedDatabase) -> None:
    """Nothing else is sent to the task before it has to be awake again."""
    assert any(found_one_that_waits(database, seed) for seed in range(1, 50)), "no task waits without a timeout"


def found_one_that_waits(database: SimulatedDatabase, seed: int) -> bool:
    """Whether a task of this seed is suspended for ever after something was sent to it, which is committed then."""
    for _, simulation in one_worker_after(database, range(1), seed=seed):
        for _ in range(5):
            simulation.launch()
        told: set[int] = set()
        while simulation.now.unfinished:
            for _ in range(20):
                simulation.work(1)
                for task in set(waiting_in_memory(simulation)) - told:
                    simulation.begin_notify(task)
                    told.add(task)
            simulation.judge()
            if any(waits_for_ever(simulation.now.tasks[task]) for task in told):
                break
        for _ in told:
            simulation.end_notify(commit=True)
        found = bool(simulation.now.unfinished)
    return found


def waiting_in_memory(simulation: GuestSimulation) -> list[int]:
    process = simulation._scheduler.slots[0]
    if process is None or process.worker is None or process.worker._shift is None:
        return []
    return process.worker._shift.running.waiting()


def waits_for_ever(task: TaskRow) -> bool:
    return task.state is TaskState.SUSPENDED and task.wakeup_at is None


def test_what_is_committed_after_a_suspension_wakes_the_task(simulated: SimulatedDatabase) -> None:
    commit_what_was_sent_before_a_suspension(simulated)


def test_a_wake_up_that_is_lost_is_found(simulated: SimulatedDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clients send in the end, so that all can come to their end, must not make up for it."""
    wake_nobody_late(monkeypatch)
    with pytest.raises(Violation, match="not at rest"):
        commit_what_was_sent_before_a_suspension(simulated)


def test_a_connection_that_a_worker_closes_under_a_statement_is_found(simulated: SimulatedDatabase) -> None:
    """psycopg would go on with freed memory, and anything could follow."""
    with pytest.raises(Violation, match="closed a connection on which a statement waits for its answer"):
        for _, simulation in one_worker_after(simulated, range(1)):
            process = simulation._scheduler.slots[0]
            assert process is not None
            assert process.worker is not None
            writer = process.worker._sessions.writer
            for _ in range(20):  # statements; the answer may always be faster
                simulation.launch()
                while not waits_for_an_answer(writer, process):
                    simulation.work(1)
                process.loop.create_task(writer._drop())
                simulation.work(5)
                simulation.judge()


def waits_for_an_answer(session: Session, process: Process) -> bool:
    connection = session._connection
    return connection is not None and not connection.closed and connection.fileno() in process.loop.readers


def test_a_worker_may_stand_still_at_any_moment(simulated: SimulatedDatabase) -> None:
    """For longer than any timeout: that is no fault of the workflow whose statement was under way."""
    for _, simulation in one_worker_after(simulated, range(60, 180, 9)):
        simulation.pass_time(100.0)


def test_clocks_of_hosts_have_nothing_in_common(simulated: SimulatedDatabase) -> None:
    chance = random.Random(2)
    with nothing_by_real_time():
        simulation = GuestSimulation(simulated, chance)
        try:
            for slot in range(3):
                simulation.start(slot)
            clocks = [process.loop.time() for process in simulation._scheduler.running]
            assert all(abs(one - other) > 1000 for one, other in itertools.combinations(clocks, 2))
        finally:
            simulation.close()
