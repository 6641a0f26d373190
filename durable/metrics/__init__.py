"""All that workers count. One line at the place where it happens: `metrics.tasks_claimed.inc(n)`.

Without `share` the numbers are this process's own, and `durable.metrics.exposition.registry` shows them to the
Prometheus client of an application. Counting costs half a microsecond to one, so count batches where
there are batches.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TypeVar

from durable.metrics import files
from durable.metrics.cells import Cells
from durable.metrics.instruments import About, Counter, CounterFamily, Gauge, Histogram, Instrument

_log = logging.getLogger("durable.metrics")

#: The numbers of this process.
cells = Cells()
#: Every metric of a worker, in the order of definition.
INSTRUMENTS: list[Instrument] = []

T = TypeVar("T", Counter, CounterFamily, Gauge, Histogram)


def share(folder: Path, process: str) -> None:
    """From now on keep the numbers of this process in a file of `folder`, for the exporter to read.

    `process` is what this process is for, such as `worker-1`: its successor of the same name goes on with its counters.
    To be called in a new process before it counts anything. A folder that cannot be used costs the metrics of this
    process, never the process.
    """
    try:
        cells.move_to(files.open_for(folder, process, len(cells)))
    except OSError as error:
        _log.warning("the metrics of %s cannot be kept in %s (%s); going on without", process, folder, error.strerror)


def _defined(instrument: T) -> T:
    INSTRUMENTS.append(instrument)
    return instrument


def _counter(name: str, help: str) -> Counter:
    return _defined(Counter(cells, About(name, help)))


def _counters(name: str, help: str, label: str, values: tuple[str, ...]) -> CounterFamily:
    return _defined(CounterFamily(cells, About(name, help), label, values))


def _gauge(name: str, help: str, *, is_time: bool = False) -> Gauge:
    return _defined(Gauge(cells, About(name, help), is_time=is_time))


def _histogram(name: str, help: str, bounds: tuple[float, ...]) -> Histogram:
    return _defined(Histogram(cells, About(name, help), bounds))


# Upper bounds; of times in seconds.
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
_LONG = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 21600.0, 86400.0, 604800.0)
_COMPILATIONS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BATCHES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)

# -- tasks -----------------------------------------------------------------------------------------------------------
tasks_claimed = _counter("durable_task_claimed_total", "Claims of tasks: one for each run of a task.")
tasks_completed = _counter("durable_task_completed_total", "Tasks that completed.")
tasks_failed = _counter("durable_task_failed_total", "Tasks that failed.")
tasks_suspended = _counter("durable_task_suspended_total", "Suspensions of tasks that had to wait for long.")
tasks_quarantined = _counter(
    "durable_task_quarantined_total", "Tasks put aside, because running them again cannot help."
)
tasks_reclaimed = _counter("durable_task_reclaimed_total", "Tasks taken back from dead workers.")
task_duration = _histogram(
    "durable_task_duration_seconds", "From the launch of a task until it completed or failed, waiting included.", _LONG
)
claim_latency = _histogram(
    "durable_task_claim_latency_seconds", "From when a task became ready until a worker had it.", _WAITS
)
timer_lag = _histogram("durable_timer_lag_seconds", "From when a suspended task was due until a worker had it.", _WAITS)
notification_delivery = _histogram(
    "durable_notification_delivery_seconds",
    "From when a notification was sent until its task took it, the task's own waiting included.",
    _LONG,
)

# -- journal ---------------------------------------------------------------------------------------------------------
events_appended = _counter("durable_events_appended_total", "Events committed to journals.")
events_replayed = _counter("durable_events_replayed_total", "Recorded events served to tasks that ran again.")
flush_seconds = _histogram("durable_journal_flush_seconds", "How long a group commit of journals took.", _QUICK)
flush_events = _histogram("durable_journal_flush_events", "Events in one group commit of journals.", _BATCHES)
fenced_writes = _counter(
    "durable_fenced_writes_total",
    "Journal entries refused because the lease of their task was over, by task and commit.",
)
divergences = _counter(
    "durable_divergence_total",
    "Runs that did something else than their journal says: their program is not deterministic.",
)

# -- workers ---------------------------------------------------------------------------------------------------------
worker_tasks = _gauge("durable_worker_tasks", "Tasks in the memory of the worker.")
worker_slots = _gauge("durable_worker_slots", "Tasks that the worker has room for.")
worker_heartbeat = _gauge(
    "durable_worker_heartbeat_timestamp_seconds",
    "When the worker last renewed its leases, by the clock of the database, since the Unix epoch.",
    is_time=True,
)

database_impaired = _gauge(
    "durable_worker_database_impaired",
    "1 while the worker claims less, because the database answers and cannot write: its disk is full, for instance.",
)

# -- programs --------------------------------------------------------------------------------------------------------
compile_seconds = _histogram("durable_program_compile_seconds", "How long a compilation took.", _COMPILATIONS)
cache_hits = _counter("durable_program_cache_hits_total", "Programs found compiled in the cache folder.")
cache_misses = _counter("durable_program_cache_misses_total", "Programs that had to be compiled.")

# -- the outside -----------------------------------------------------------------------------------------------------
http_requests = _counters(
    "durable_http_requests_total",
    "HTTP requests of workflows by what came of them.",
    "outcome",
    ("1xx", "2xx", "3xx", "4xx", "5xx", "timeout", "connect", "refused", "too_large", "invalid", "failed"),
)
db_errors = _counters(
    "durable_db_errors_total",
    "Errors of the database that workers met with statements of their own, by kind.",
    "kind",
    ("connection", "conflict", "lock", "timeout", "resources", "data", "privilege", "shutdown", "internal", "other"),
)
