"""Everything that a scrape shows: what the workers count, what the supervisor sees of them, what the database says."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from durable import metrics
from durable.metrics import exposition, files
from durable.store.task_counts import TaskCounts
from durable.version import __version__
from workers.exporter_database import DatabaseWatch
from workers.link import Fleet

_BUILD = {"version": __version__, "python": platform.python_version(), "wasmtime": version("wasmtime")}


class ServiceMetrics(Collector):
    """`fleet` is what the supervisor said last."""

    def __init__(self, folder: Path, cache_folder: Path, database: DatabaseWatch) -> None:
        self.fleet = Fleet((), (), (), False)
        self._folder = folder
        self._cache_folder = cache_folder
        self._database = database

    def impaired_workers(self) -> list[str]:
        """Those that say that the database cannot write what they have for it."""
        place = metrics.database_impaired.place
        processes = files.read_all(self._folder, len(metrics.cells))
        return [_worker(one) for one in processes if one.is_alive and one.values[place]]

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("durable_build", "What runs here.", value=_BUILD)
        yield from _of_workers(self._folder)
        yield from _of_supervisor(self.fleet)
        yield from _of_database(self._database)
        yield from _of_cache(self._cache_folder)


def _of_workers(folder: Path) -> Iterator[Metric]:
    processes = files.read_all(folder, len(metrics.cells))
    yield from exposition.counts([process.values for process in processes])
    alive: defaultdict[str, list[list[float]]] = defaultdict(list)
    for process in processes:
        if process.is_alive:
            alive[_worker(process)].append(process.values)
    yield from exposition.gauges(alive)


def _worker(process: files.Process) -> str:
    return process.name.removeprefix("worker-")


def _of_supervisor(fleet: Fleet) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "durable_supervisor_worker_up", "1 when the worker is ready, 0 when it is not.", labels=["worker"]
    )
    restarts = CounterMetricFamily(
        "durable_supervisor_worker_restarts_total", "Times that the worker was started again.", labels=["worker"]
    )
    for slot, is_up, restarted in zip(fleet.slots, fleet.up, fleet.restarts, strict=True):
        up.add_metric([str(slot)], is_up)
        restarts.add_metric([str(slot)], restarted)
    yield from (up, restarts)


def _of_database(database: DatabaseWatch) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "durable_database_up", "1 when the database answers the exporter, 0 when it does not.", database.problem is None
    )
    if (counts := database.counts) is not None:
        yield from _of_tasks(counts)


def _of_tasks(counts: TaskCounts) -> Iterator[Metric]:
    tasks = GaugeMetricFamily("durable_tasks", "Tasks in the database by state.", labels=["state"])
    for state, count in counts.states.items():
        tasks.add_metric([state.value], count)
    yield tasks
    oldest = GaugeMetricFamily(
        "durable_task_oldest_ready_timestamp_seconds",
        "Since when the task is ready that has been for the longest, since the Unix epoch.",
    )
    if counts.oldest_ready is not None:
        oldest.add_metric([], counts.oldest_ready)
    yield oldest
    yield CounterMetricFamily("durable_task_launched_total", "Launches, those rolled back included.", counts.launched)


def _of_cache(folder: Path) -> Iterator[Metric]:
    try:
        disk = os.statvfs(folder)
    except OSError:  # there is none yet
        return
    yield GaugeMetricFamily(
        "durable_program_cache_disk_free_bytes", "Free space where the cache folder is.", disk.f_bavail * disk.f_frsize
    )
    yield GaugeMetricFamily(
        "durable_program_cache_disk_size_bytes", "All space where the cache folder is.", disk.f_blocks * disk.f_frsize
    )
