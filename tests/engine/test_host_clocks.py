"""The wall clock of a host means nothing: it may be an hour off, and jump, and no timer and no lease is early."""

from __future__ import annotations

import ast
import asyncio
import itertools
import random
import time
from pathlib import Path

import pytest

from durable import config
from tests.engine.database import Database
from tests.engine.test_read_faults import until
from tests.proof import seed
from workers.worker import Worker

ROOT = Path(__file__).parents[2]
HOUR = 3600.0
#: Where a wall clock may be asked: for a first guess until the database has told the time, and to compare it with that.
ALLOWED = {"durable/timing.py", "durable/cli/doctor.py"}
_WALL_CLOCKS = {
    ("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"),
    ("date", "today"), ("time", "localtime"), ("time", "gmtime"), ("time", "clock_gettime"),
}  # fmt: skip


def wall_clocks(path: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    return [
        f"{call.value.id}.{call.attr} in line {call.lineno}"
        for call in calls
        if isinstance(call.value, ast.Name) and (call.value.id, call.attr) in _WALL_CLOCKS
    ]


def test_nobody_asks_the_wall_clock_of_the_host() -> None:
    found = {
        str(path.relative_to(ROOT)): clocks
        for folder in ("durable", "workers")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (clocks := wall_clocks(path))
    }
    assert set(found) == ALLOWED, found


@pytest.mark.parametrize("offset", [HOUR, -HOUR, None], ids=["an hour ahead", "an hour behind", "jumping"])
def test_no_timer_and_no_take_over_is_early(
    database: Database, cache_folder: Path, monkeypatch: pytest.MonkeyPatch, offset: float | None
) -> None:
    chance, real = random.Random(seed()), time.time_ns

    def host_clock() -> int:
        return real() + int((chance.uniform(-HOUR, HOUR) if offset is None else offset) * 1e9)

    monkeypatch.setattr(time, "time_ns", host_clock)
    monkeypatch.setattr(time, "time", lambda: host_clock() / 1e9)
    settings = config.load(
        {
            "database_url": database.url, "cache_folder": str(cache_folder), "suspend_timeout": 2.0,
            "heartbeat_interval": 0.5, "heartbeat_timeout": 10.0,
        },
        {},
    )  # fmt: skip
    other = another_worker(database)
    orphan = database.launch("noop")
    database.query("UPDATE durable.task SET state = 'active', running_on = %s WHERE id = %s", other, orphan)
    # One waits in memory, one is suspended.
    tasks = [database.launch("sleepy-sleep", {"seconds": seconds}) for seconds in (1, 3)]

    async def scenario() -> None:
        async with Worker(settings):
            for task in tasks:
                await until("its end", database, f"SELECT state = 'complete' FROM durable.task WHERE id = {task}")
            assert database.state(orphan) == "active", "it was taken from a worker whose lease was good"
            await until("its end", database, f"SELECT state = 'complete' FROM durable.task WHERE id = {orphan}")

    asyncio.run(scenario())
    for task, slept in zip(tasks, (1, 3), strict=True):
        took = database.value(
            "SELECT extract(epoch FROM completed_at - created_at)::float8 FROM durable.task WHERE id = %s", task
        )
        assert took >= slept, "a timer was early"
    lease = database.value(
        "SELECT extract(epoch FROM t.completed_at - w.started_at)::float8 FROM durable.task t, seen_worker w "
        "WHERE t.id = %s", orphan,
    )  # fmt: skip
    assert lease >= 10.0, "the lease of the other worker was cut short"


def another_worker(database: Database) -> int:
    """One on another host, alive as far as its heartbeat says; when it began is kept, since its row will go."""
    worker = int(database.value("INSERT INTO durable.worker (host, boot) VALUES ('elsewhere', 'other') RETURNING id"))
    database.query("CREATE TABLE public.seen_worker AS SELECT * FROM durable.worker")
    return worker


def test_what_a_guest_is_told_never_goes_back_although_the_host_does(
    database: Database, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = itertools.cycle([HOUR, -HOUR, 0.0])
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + int(next(hours) * 1e9))
    settings = config.load({"database_url": database.url, "cache_folder": str(cache_folder)}, {})
    task = database.launch("clocks")

    async def scenario() -> None:
        async with Worker(settings):
            await until(
                "its end", database, f"SELECT state IN ('complete', 'failed') FROM durable.task WHERE id = {task}"
            )

    asyncio.run(scenario())
    assert "clocks are fine" in database.log(task)
    apart = database.value(
        "SELECT max(abs((value->>'seconds')::float8 - extract(epoch FROM created_at)::float8)) FROM durable.event "
        "WHERE task_id = %s AND label = 'wasi:clocks/wall-clock.now'", task,
    )  # fmt: skip
    assert apart < 60, "the guest was told the time of the host"
