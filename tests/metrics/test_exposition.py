"""The metrics by name, as the specification has them, and in the form that Prometheus wants."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from durable.metrics.exposition import registry
from tests.metrics.scrapes import PROMTOOL, Scrape, complaints, own_complaints

#: What an application with an embedded worker shows. The rest is the exporter's: test_exporter.py.
OF_WORKERS = {
    *(
        f"durable_task_{what}_total"
        for what in ("claimed", "completed", "failed", "suspended", "reclaimed", "quarantined")
    ),
    "durable_task_duration_seconds",
    "durable_task_claim_latency_seconds",
    "durable_timer_lag_seconds",
    "durable_notification_delivery_seconds",
    "durable_events_appended_total",
    "durable_events_replayed_total",
    "durable_journal_flush_seconds",
    "durable_journal_flush_events",
    "durable_fenced_writes_total",
    "durable_divergence_total",
    "durable_worker_tasks",
    "durable_worker_slots",
    "durable_worker_heartbeat_timestamp_seconds",
    "durable_worker_database_impaired",
    "durable_program_compile_seconds",
    "durable_program_cache_hits_total",
    "durable_program_cache_misses_total",
    "durable_http_requests_total",
    "durable_db_errors_total",
}


def shown() -> str:
    return generate_latest(registry).decode()


def test_every_metric_is_there_from_the_start_with_help_and_type() -> None:
    text = shown()
    for name in OF_WORKERS:
        assert f"# HELP {name} " in text
        assert f"# TYPE {name} " in text
    assert set(Scrape.of(text).families) == OF_WORKERS


def test_promtool_and_our_own_rules_have_no_complaints() -> None:
    assert complaints(shown()) == ""
    assert list(own_complaints(shown())) == []


BAD = [
    "# HELP durable_x_total x\n# TYPE durable_x_total gauge\ndurable_x_total 1\n",
    "# HELP durable_x x\n# TYPE durable_x counter\ndurable_x 1\n",
    "# TYPE durable_x_seconds gauge\ndurable_x_seconds 1\n",
    '# HELP durable_x x\n# TYPE durable_x histogram\ndurable_x_bucket{le="1"} 1\ndurable_x_count 1\ndurable_x_sum 1\n',
]


@pytest.mark.parametrize("text", BAD)
def test_those_rules_find_what_is_wrong(text: str) -> None:
    assert list(own_complaints(text))
    if PROMTOOL is not None:
        assert complaints(text) or "histogram" in text


def test_an_application_can_register_them_beside_its_own() -> None:
    own = CollectorRegistry()
    own.register(registry)
    assert generate_latest(own) == generate_latest(registry)
