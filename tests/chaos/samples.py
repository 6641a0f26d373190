"""What a service uses, as the kernel and PostgreSQL see it, and whether that is bounded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression, median

from tests.engine.database import Database
from tests.engine.service import Service

MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Use:
    """Of one process: bytes of memory, open descriptors, threads."""

    memory: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` in seconds since the start; tables and indexes of the schema in bytes; `unfinished` in tasks."""

    at: float
    supervisor: Use
    workers: tuple[Use, ...]
    connections: int
    tables: int
    unfinished: int
    ended_badly: int


def sample(at: float, service: Service, database: Database) -> Sample:
    [(connections, tables, unfinished, ended_badly)] = database.query(_QUERY)
    return Sample(
        at, use_of(service.process.pid), tuple(use_of(pid) for pid in sorted(service.pids())),
        connections, tables, unfinished, ended_badly,
    )  # fmt: skip


_QUERY = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'durable %%'),
       (SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
        WHERE c.relnamespace = 'durable'::regnamespace AND c.relkind = 'r'),
       count(*) FILTER (WHERE state IN ('ready', 'active', 'suspended')),
       count(*) FILTER (WHERE state IN ('failed', 'quarantined', 'cancelled'))
FROM durable.task
"""


def use_of(pid: int) -> Use:
    folder = Path(f"/proc/{pid}")
    return Use(
        int((folder / "statm").read_text().split()[1]) * _PAGE,
        len(list((folder / "fd").iterdir())),
        len(list((folder / "task").iterdir())),
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is allowed. `growth` of a process in bytes per hour, on top of `noise`, which is what allocators do."""

    connections: int
    backlog: int
    growth: int = MIB
    noise: int = 6 * MIB
    #: Threads and descriptors that a later peak of the load may take more than an earlier one: they are made on demand.
    spare: int = 8
    #: How much larger the tables may get after the first third of the time.
    bloat: float = 1.25


def verdict(samples: Sequence[Sample], bounds: Bounds) -> list[str]:
    """What is not bounded, one sentence each. The first third of the samples is for warming up."""
    warm = samples[len(samples) // 3 :]
    wrong = [*_processes(warm, bounds), *_database(warm, bounds)]
    if bad := samples[-1].ended_badly:
        wrong.append(f"{bad} tasks did not complete")
    return wrong


def _processes(warm: Sequence[Sample], bounds: Bounds) -> list[str]:
    uses: dict[str, list[Use]] = {"supervisor": [one.supervisor for one in warm]}
    for number in range(len(warm[0].workers)):
        uses[f"worker {number + 1}"] = [one.workers[number] for one in warm]
    times = [one.at for one in warm]
    wrong = []
    for name, of_process in uses.items():
        grown = _growth(times, [use.memory for use in of_process])
        if grown > bounds.growth * (times[-1] - times[0]) / 3600 + bounds.noise:
            wrong.append(f"the memory of the {name} grew by {grown / MIB:.1f} MiB")
        for what, count in _COUNTS.items():
            first, last = _then_and_now([count(use) for use in of_process])
            if last > first + bounds.spare:
                wrong.append(f"the {what} of the {name} grew from {first} to {last}")
    return wrong


_COUNTS: dict[str, Callable[[Use], int]] = {
    "descriptors": lambda use: use.descriptors,
    "threads": lambda use: use.threads,
}


def _growth(times: Sequence[float], values: Sequence[int]) -> float:
    """From the first to the last of the times, along the line that fits best."""
    return linear_regression(times, values).slope * (times[-1] - times[0])


def _then_and_now(values: Sequence[int]) -> tuple[int, int]:
    """The most there was in the first half, and what is usual in the last quarter."""
    half = len(values) // 2
    return max(values[:half]), int(median(values[-(half // 2) :]))


def _database(warm: Sequence[Sample], bounds: Bounds) -> list[str]:
    wrong = []
    if (most := max(one.connections for one in warm)) > bounds.connections:
        wrong.append(f"{most} connections were open, {bounds.connections} are allowed")
    if (most := max(one.unfinished for one in warm)) > bounds.backlog:
        wrong.append(f"{most} tasks were waiting or running at one time, {bounds.backlog} are allowed")
    first, last = _then_and_now([one.tables for one in warm])
    if last > first * bounds.bloat:
        wrong.append(f"the tables grew from {first / MIB:.0f} to {last / MIB:.0f} MiB")
    return wrong


def figures(one: Sample) -> str:
    """One line for a person."""
    workers = " ".join(f"{use.memory / MIB:.1f} MiB/{use.descriptors} fds/{use.threads} threads" for use in one.workers)
    return (
        f"{one.at:7.0f} s  supervisor {one.supervisor.memory / MIB:.1f} MiB/{one.supervisor.descriptors} fds  "
        f"workers {workers}  {one.connections} connections  tables {one.tables / MIB:.1f} MiB  "
        f"{one.unfinished} unfinished"
    )
