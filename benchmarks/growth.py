"""What finished tasks cost those that come after them.

Three services work in turn, on databases that differ in nothing but what lies in their tables: nothing, one million,
ten million finished tasks with three events each. The rows are made by SQL, in the order and with the columns that
tasks leave behind, and are vacuumed and analysed as autovacuum would have done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.figures import Figure, figure
from benchmarks.finished import add_finished_tasks
from benchmarks.stage import Stage
from benchmarks.throughput import Working, working

_FINISHED = (0, 1_000_000, 10_000_000)
_TASKS = 6000
_ROUNDS = 7


def growth(stage: Stage) -> Iterator[Figure]:
    """Throughput beside 1 and 10 million finished tasks, relative to empty tables. Takes 10 GB and five minutes."""
    sizes = [stage.size(finished) if finished else 0 for finished in _FINISHED]
    count = stage.size(_TASKS)
    with ExitStack() as stack:
        services = [stack.enter_context(_beside(stage, finished)) for finished in sizes]
        for service in services:
            service.warm_up(count)
        rounds = [[service.drain(count) for service in services] for _ in range(max(stage.rounds, _ROUNDS))]
    for column, finished in enumerate(sizes):
        beside = f"beside {finished:,} finished tasks"
        drains = [one[column] for one in rounds]
        yield figure(f"10-event workflows {beside}", "workflows/s", [drain.rate for drain in drains])
        yield figure("… PostgreSQL's CPU for one", "µs", [drain.database_cpu / drain.count * 1e6 for drain in drains])
        if finished:
            yield figure("… rate / rate on empty tables", "times", [one[column].rate / one[0].rate for one in rounds])


@contextmanager
def _beside(stage: Stage, finished: int) -> Iterator[Working]:
    with stage.database() as database:
        if finished:
            add_finished_tasks(database, finished)
        with working(stage, database, "ten-events", workers=2) as at_work:
            yield at_work
