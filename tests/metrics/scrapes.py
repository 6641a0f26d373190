"""A scrape, read as strictly as Prometheus does."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

PROMTOOL = shutil.which("promtool")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"

Series = tuple[str, tuple[tuple[str, str], ...]]

_NAME = re.compile(r"durable_[a-z]+(_[a-z]+)*")
_UNITS = ("_seconds", "_bytes", "_total", "_info")
#: Gauges that count things, and histograms of numbers, have no unit.
_WITHOUT_UNIT = {
    "durable_tasks", "durable_worker_tasks", "durable_worker_slots", "durable_supervisor_worker_up",
    "durable_worker_database_impaired", "durable_database_up", "durable_journal_flush_events",
}  # fmt: skip


@dataclass(frozen=True)
class Scrape:
    text: str
    families: dict[str, Metric]

    @classmethod
    def of(cls, text: str) -> Scrape:
        """A counter is found under its name with `_total`, as everybody writes it."""
        families: dict[str, Metric] = {}
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            assert name not in families, f"{name} is there twice"
            families[name] = family
        return cls(text, families)

    def series(self) -> dict[Series, float]:
        """Every sample by its name and labels."""
        samples = [sample for family in self.families.values() for sample in family.samples]
        series = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in samples}
        assert len(series) == len(samples), "a series is there twice"
        return series

    def value(self, name: str, **labels: str) -> float:
        return self.series()[name, tuple(sorted(labels.items()))]

    def has(self, name: str, **labels: str) -> bool:
        return (name, tuple(sorted(labels.items()))) in self.series()

    def growing(self) -> dict[Series, float]:
        """What must never go backwards: counters, and all of a histogram."""
        kinds = {
            sample.name: family.type for family in self.families.values() for sample in family.samples
        }  # fmt: skip
        return {
            series: value for series, value in self.series().items() if kinds[series[0]] in ("counter", "histogram")
        }


def scrape(url: str) -> Scrape:
    return Scrape.of(fetch(f"{url}/metrics"))


def fetch(url: str, accept: str = "") -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=30) as answer:
        return str(answer.read().decode())


def assert_went_forward(before: Scrape, after: Scrape) -> None:
    then, now = before.growing(), after.growing()
    assert then.keys() <= now.keys()
    backwards = {series: (value, now[series]) for series, value in then.items() if now[series] < value}
    assert backwards == {}


def complaints(text: str) -> str:
    """What promtool has to say, "" for nothing; without promtool, what can be said without it."""
    if PROMTOOL is None:
        return "\n".join(own_complaints(text))
    ran = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def own_complaints(text: str) -> Iterator[str]:
    for name, family in Scrape.of(text).families.items():
        if not _NAME.fullmatch(name):
            yield f"{name}: not a name"
        if not family.documentation:
            yield f"{name}: no help"
        if family.type not in ("counter", "gauge", "histogram"):
            yield f"{name}: no type"
        if f"# TYPE {name} {family.type}\n" not in text or name.endswith("_total") != (family.type == "counter"):
            yield f"{name}: counters, and only they, end in _total"
        if not name.endswith(_UNITS) and name not in _WITHOUT_UNIT:
            yield f"{name}: no base unit"
        yield from (f"{name}: {problem}" for problem in _problems_of_histogram(family))


def _problems_of_histogram(family: Metric) -> Iterator[str]:
    if family.type != "histogram":
        return
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    values = [sample.value for sample in buckets]
    if values != sorted(values):
        yield "buckets hold those below as well"
    if not buckets or buckets[-1].labels["le"] != "+Inf":
        yield "the last bucket is +Inf"
    elif [buckets[-1].value] != [sample.value for sample in family.samples if sample.name.endswith("_count")]:
        yield "the last bucket is the count"


def assert_openmetrics(text: str) -> None:
    assert list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
