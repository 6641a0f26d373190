"""A component under simulated faults: it has to end as it does without any, and what does not is found."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from durable.config import Config
from durable.embedded import EmbeddedServer
from durable.errors import DurableError, InvalidComponent
from durable.execution.outcome import Outcome
from durable.execution.run import Run
from durable.model import TaskState
from tests.engine.database import workflow
from workers.simulation import Component, SimulatedDatabase, simulate_component
from workers.simulation.component_simulation import TASK, ComponentSimulation, Loaded
from workers.simulation.ending import Ending, Expected
from workers.simulation.replay import replay_problems
from workers.simulation.scheduler import nothing_by_real_time
from workers.simulation.snapshot import Snapshot


def component(name: str, **settings: Any) -> Component:
    return Component(workflow(name).read_bytes(), name, **settings)


@pytest.mark.parametrize(
    "subject",
    [
        component("six-steps"),
        component("sleep-n-go", data='{"count": 3, "seconds": 40}'),
        component("notified", notifications=(("hello", "1"), ("task-exit", "null"))),
        component("panic-in-transaction"),
    ],
    ids=lambda subject: subject.name,
)
def test_a_workflow_ends_as_it_does_without_faults(subject: Component, simulated: SimulatedDatabase) -> None:
    for run in simulate_component(simulated, subject, 1, runs=3):
        assert run.problem is None, "\n".join([*run.trace, f"seed {run.seed}: {run.problem}"])


def test_one_that_waits_for_nobody_is_an_error(simulated: SimulatedDatabase) -> None:
    with pytest.raises(DurableError, match="waits for a notification that nobody sends"):
        list(simulate_component(simulated, component("notified"), 1, runs=1))


def test_one_that_is_no_component_is_an_error(simulated: SimulatedDatabase) -> None:
    with pytest.raises(InvalidComponent):
        list(simulate_component(simulated, Component(b"no component"), 1, runs=1))


# -- what is found ---------------------------------------------------------------------------------------------------
Play = Callable[[Run], Coroutine[Any, Any, Outcome]]


@pytest.fixture(scope="module")
def ended(simulated: SimulatedDatabase) -> tuple[Snapshot, Ending, Play, str, Config]:
    """A task that has ended without faults, and what would run it again."""
    loaded = Loaded(component("six-steps"))
    chance = random.Random(1)
    with nothing_by_real_time():
        simulation = ComponentSimulation(simulated, chance, loaded, Config(), workers=1)
        simulation.start(0)
        simulation.launch()
        simulation.judge()
        simulation.heal()
        play, data = simulation.replay(TASK)
        simulation.close()
    return simulation.now, simulation.ending(), play, data, Config()


def found(ended: tuple[Snapshot, Ending, Play, str, Config], changed: Snapshot) -> list[str]:
    _, _, play, data, config = ended
    return list(replay_problems(changed, changed.tasks[TASK], config, (play, data)))


def test_a_replay_that_prints_something_else_is_found(ended: Any) -> None:
    now = ended[0]
    assert found(ended, now) == []
    printed = next(event.index for event in now.journals[TASK] if event.index in now.logs[TASK])
    log = {**now.logs[TASK], printed: "something else\n"}
    event = replace(now.journals[TASK][printed], label="wasi:io/streams.output-stream.write")
    assert event.label == now.journals[TASK][printed].label, "the first text of six-steps is printed by a write"
    (problem,) = found(ended, replace(now, logs={TASK: log}))
    assert "printed 'something else\\n' at event" in problem


def test_a_replay_that_asks_for_something_else_is_found(ended: Any) -> None:
    now = ended[0]
    journal = [replace(event, label="other") if event.index == 3 else event for event in now.journals[TASK]]
    problem = found(ended, replace(now, journals={TASK: journal}))[0]
    assert 'event at index 3 has label "other"' in problem


def test_a_replay_that_goes_on_behind_its_journal_is_found(ended: Any) -> None:
    now = ended[0]
    problems = found(ended, replace(now, journals={TASK: now.journals[TASK][:-2]}))
    assert problems


def test_only_what_two_runs_without_faults_agree_on_is_asked_of_others(ended: Any) -> None:
    quick: Ending = ended[1]
    journal = [replace(event, value="17") if event.index == 1 else event for event in quick.journal]
    slow = replace(quick, journal=journal)
    expected = Expected.of(quick, slow)
    assert list(expected.problems(quick)) == list(expected.problems(slow)) == []
    other = [replace(event, value="18") if event.index in (1, 2) else event for event in quick.journal]
    (problem,) = expected.problems(replace(quick, journal=other))
    assert problem.startswith("event 2 ")
    failed = replace(quick, task=replace(quick.task, state=TaskState.FAILED))
    assert "failed and without faults complete" in next(expected.problems(failed))
    assert Expected.of(quick, failed).state is None


# -- the command -----------------------------------------------------------------------------------------------------
def durable(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "durable", "simulate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_command_says_what_came_of_it(server: EmbeddedServer) -> None:
    url = ("--database-url", server.url)
    told = durable(str(workflow("six-steps")), "--runs", "1", "--seed", "5", *url)
    assert told.returncode == 0, told.stderr
    assert "1 runs from seed 5:" in told.stdout and "every promise held" in told.stdout
    rows = json.loads(durable(str(workflow("six-steps")), "--runs", "1", "--seed", "5", "-o", "json", *url).stdout)
    assert [(row["seed"], row["problem"], row["complete"]) for row in rows] == [(5, None, 1)]


def test_the_command_refuses_what_it_cannot_read(server: EmbeddedServer) -> None:
    url = ("--database-url", server.url)
    assert "cannot read nowhere.wasm" in durable("nowhere.wasm", *url).stderr
    assert "write EVENT=JSON" in durable(str(workflow("notified")), "--notify", "hello", *url).stderr
    assert durable(str(workflow("notified")), "--sql", "nowhere.sql", *url).returncode == 2


def test_the_command_names_the_file_whose_sql_is_wrong(server: EmbeddedServer, tmp_path: Path) -> None:
    script = tmp_path / "tables.sql"
    script.write_text("CREATE TABLE a (b integer);\nSELECT c FROM a")
    told = durable(str(workflow("notified")), "--sql", str(script), "--database-url", server.url)
    assert told.returncode == 2
    assert told.stderr.startswith(f'error: {script}: column "c" does not exist\nLINE 2: SELECT c FROM a\n'), told.stderr


def test_the_command_refuses_what_means_nothing_without_a_component(server: EmbeddedServer) -> None:
    for option in (["--data", "1"], ["--notify", "a=1"], ["--http-body", "{}"], ["--sql", "x.sql"]):
        told = durable(*option, "--runs", "1", "--database-url", server.url)
        assert told.returncode == 2
        assert told.stderr.startswith(f"error: {option[0]} is for a COMPONENT, and none was given\n")


def test_nothing_is_left_of_a_simulation(server: EmbeddedServer) -> None:
    durable("--runs", "1", "--steps", "2", "--database-url", server.url)
    with psycopg.connect(server.url) as connection:
        names = [row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall()]
    # The session's own stays until its end.
    assert sum(name.startswith("durable_simulation") for name in names) <= 1
