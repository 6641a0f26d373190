"""How late timers fire when very many are pending.

The tasks are real sleepers: each has run, recorded when it began, and was suspended. Their times lie evenly within ten
seconds. Late is what lies between the time a task asked for and the moment the server got the event that it records
when it goes on: the claim, a new guest and its replay are part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from benchmarks.figures import Figure, percentiles
from benchmarks.stage import Stage
from tests.engine.database import Database, wait_until, workflow

_TIMERS = 10_000
_FIRST = 45  # seconds until the first one: all must be asleep by then, on a slow machine too
_SPREAD = 10


def timers(stage: Stage) -> Iterator[Figure]:
    """Lateness with 10,000 timers pending, which fire within ten seconds."""
    count = stage.size(_TIMERS)
    with stage.database() as database, stage.service(database, workers=2):
        _launch(database, count)
        wait_until(lambda: _suspended(database) == count, f"{count} suspended tasks", timeout=_FIRST)
        asked: dict[int, datetime] = dict(
            database.query("SELECT id, wakeup_at FROM durable.task WHERE state = 'suspended'")
        )
        assert len(asked) == count, f"only {len(asked)} of {count} timers were pending at once"
        database.wait_for_all()
        woken = database.query("SELECT task_id, max(created_at) FROM durable.event GROUP BY task_id")
    late = [(went_on - asked[task]).total_seconds() * 1000 for task, went_on in woken]
    assert len(late) == count and min(late) >= 0, "a timer fired early"
    yield from percentiles(f"lateness of {count:,} timers within {_SPREAD} s", "ms", [late])


def _launch(database: Database, count: int) -> None:
    database.query(
        "INSERT INTO durable.task (name, wasm, data)"
        " SELECT 'sleeper', %s, jsonb_build_object('seconds', %s::int + n %% %s::int)"
        " FROM generate_series(1, %s) AS n",
        database.program(workflow("sleepy-sleep")), _FIRST, _SPREAD, count,
    )  # fmt: skip


def _suspended(database: Database) -> int:
    return int(database.value("SELECT count(*) FROM durable.task WHERE state = 'suspended'"))
