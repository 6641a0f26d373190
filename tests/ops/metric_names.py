"""The metrics that alerts and panels may ask for, by type."""

from __future__ import annotations

import re

_COUNTERS = {
    "durable_task_launched_total",
    *(
        f"durable_task_{what}_total"
        for what in ("claimed", "completed", "failed", "suspended", "reclaimed", "quarantined")
    ),
    *(f"durable_{what}_total" for what in ("events_appended", "events_replayed", "fenced_writes", "divergence")),
    "durable_supervisor_worker_restarts_total",
    *(f"durable_program_cache_{what}_total" for what in ("hits", "misses")),
    "durable_http_requests_total",
    "durable_db_errors_total",
}
_GAUGES = {
    "durable_build_info",
    "durable_tasks",
    "durable_task_oldest_ready_timestamp_seconds",
    *(f"durable_worker_{what}" for what in ("tasks", "slots", "heartbeat_timestamp_seconds", "database_impaired")),
    "durable_supervisor_worker_up",
    "durable_database_up",
    *(f"durable_program_cache_disk_{what}_bytes" for what in ("free", "size")),
}
_HISTOGRAMS = {
    "durable_task_duration_seconds",
    "durable_task_claim_latency_seconds",
    "durable_timer_lag_seconds",
    "durable_notification_delivery_seconds",
    "durable_journal_flush_seconds",
    "durable_journal_flush_events",
    "durable_program_compile_seconds",
}
METRICS = _COUNTERS | _GAUGES | _HISTOGRAMS
SERIES = _COUNTERS | _GAUGES | {f"{name}_{part}" for name in _HISTOGRAMS for part in ("bucket", "sum", "count")}


def series_in(expression: str) -> set[str]:
    """The series of durable that an expression asks for."""
    return set(re.findall(r"\bdurable_\w+", expression))
