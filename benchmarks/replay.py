"""How long a task with a long journal needs until it is where it stopped.

A task that has ended is made ready again by SQL: a worker claims it and runs it from the top, and all that it asks for
is in its journal. It ends when the journal does, without one new event: `completed_at` is the moment at which the live
end was reached. The time counts from the UPDATE, so it holds a NOTIFY and a claim as well; the figure for an empty
journal says how much these are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.figures import Figure, figure
from benchmarks.processes import cpu_seconds
from benchmarks.stage import Stage
from durable.client import Client
from tests.engine.database import Database, workflow

_LENGTHS = (0, 100, 1_000, 10_000, 100_000)
_TIMEOUT = 180.0  # seconds
_REPEATS = 5
_LONG = 10_000


def replay(stage: Stage) -> Iterator[Figure]:
    """From `ready` to the end of the journal, for journals of several lengths."""
    with stage.database() as database, Client(database.url) as client, stage.service(database, workers=1) as service:
        program = client.program(workflow("ten-events"))
        for events in _LENGTHS:
            task = client.launch("long", program, {"n": events})
            client.wait(task, timeout=_TIMEOUT, raise_on_failure=True)
            _replay(database, task, events)
            repeats = stage.rounds if events > _LONG else max(stage.rounds, _REPEATS)
            # CPU time says more than the clock where other programs run, too.
            used = [cpu_seconds(service.pids())]
            times = []
            for _ in range(repeats):
                times.append(_replay(database, task, events))
                used.append(cpu_seconds(service.pids()))
            yield figure(f"replay of {events:,} events", "ms", times)
        spent = [(after - before) / events * 1e6 for before, after in pairwise(used)]
        yield figure("… worker's CPU for a replayed event", "µs", spent)


def _replay(database: Database, task: int, events: int) -> float:
    asked = database.value(
        "UPDATE durable.task SET state = 'ready', completed_at = NULL WHERE id = %s RETURNING durable.now()", task
    )
    assert database.wait_for_end(task, _TIMEOUT) == "complete", database.failure(task)
    ended, recorded, newest = database.query(
        "SELECT completed_at, count(index), max(event.created_at)"
        " FROM durable.task LEFT JOIN durable.event ON task_id = id WHERE id = %s GROUP BY completed_at", task,
    )[0]  # fmt: skip
    assert recorded == events, "the replay changed the journal"
    assert newest is None or newest < asked
    return float((ended - asked).total_seconds() * 1000)
