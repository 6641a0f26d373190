"""docs/metrics.md has every metric, and whatever is shipped for Prometheus and Grafana asks only for those."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest

from durable import metrics
from durable.metrics.instruments import Histogram
from durable.model import TaskState
from durable.store.task_counts import TaskCounts
from tests.docs.documents import ROOT, name_of
from tests.metrics.scrapes import Scrape
from workers.exporter_database import DatabaseWatch
from workers.exporter_metrics import ServiceMetrics
from workers.link import Fleet

DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
_ROW = re.compile(r"^\| `(durable_\w+)` \|([^|]*)\|([^|]*)\|[^|]*\|([^|]*)\|$", re.MULTILINE)
#: Of each metric: type, labels, meaning.
ROWS = {
    name: (kind.strip(), set(re.findall(r"`(\w+)`", labels)), meaning)
    for name, kind, labels, meaning in _ROW.findall(DOCUMENT)
}

SHIPPED = sorted([*ROOT.glob("ops/**/*.yml"), *ROOT.glob("ops/**/*.yaml"), *ROOT.glob("ops/**/*.json")])
_SUFFIXES = ("_bucket", "_sum", "_count")


class AllKnown(DatabaseWatch):
    """A database that has been counted just now."""

    problem = None
    counts = TaskCounts(dict.fromkeys(TaskState, 1), 1.0, 1)


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    """Everything that the exporter can show."""
    folder = tmp_path_factory.mktemp("metrics")
    service = ServiceMetrics(folder, folder, AllKnown(""))
    service.fleet = Fleet((1,), (0,), (1,), True)
    registry = CollectorRegistry()
    registry.register(service)
    return Scrape.of(generate_latest(registry).decode()).families


def test_every_metric_is_documented_and_no_other(families: dict[str, Metric]) -> None:
    assert set(ROWS) == set(families)
    assert len(_ROW.findall(DOCUMENT)) == len(ROWS), "a metric stands there twice"


def test_its_type_is_documented(families: dict[str, Metric]) -> None:
    assert {name: row[0] for name, row in ROWS.items()} == {name: family.type for name, family in families.items()}


def test_its_labels_are_documented(families: dict[str, Metric]) -> None:
    for name, family in families.items():
        labels = {label for sample in family.samples for label in sample.labels}
        labels |= {"worker"} if name.startswith("durable_worker_") else set()  # no worker lives here
        assert ROWS[name][1] == labels, name


def test_the_values_of_its_labels_are_documented(families: dict[str, Metric]) -> None:
    for name, label in [
        ("durable_tasks", "state"),
        ("durable_db_errors_total", "kind"),
        ("durable_http_requests_total", "outcome"),
    ]:
        for sample in families[name].samples:
            value = sample.labels[label]
            assert f"`{value}`" in ROWS[name][2] or value in ("2xx", "3xx", "4xx"), value


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_alerts_and_dashboards_ask_for_metrics_that_exist(path: Path, families: dict[str, Metric]) -> None:
    # A recording rule has a colon in its name, a file or a host a dot or a slash beside it.
    asked = set(re.findall(r"(?<![\w:/.-])durable_[a-z_]+(?![\w:/-])", path.read_text()))
    assert {name for name in asked if _base(name) not in families} == set()


def _base(name: str) -> str:
    histograms = {one.about.name for one in metrics.INSTRUMENTS if isinstance(one, Histogram)}
    for suffix in _SUFFIXES:
        if name.removesuffix(suffix) in histograms:
            return name.removesuffix(suffix)
    return name
