"""The metrics of workers in the form that the Prometheus client writes out.

`registry` is for applications with an embedded worker: `prometheus_client.start_http_server(9321, registry=registry)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from durable import metrics
from durable.metrics.instruments import Counter, CounterFamily, Gauge, Histogram

Row = Sequence[float]  # the numbers of one process

_GAUGES = [one for one in metrics.INSTRUMENTS if isinstance(one, Gauge)]
_COUNTS = [one for one in metrics.INSTRUMENTS if not isinstance(one, Gauge)]


def counts(rows: Sequence[Row]) -> Iterator[Metric]:
    """Counters and histograms: the sums over all processes, the dead ones included."""
    sums = [sum(column) for column in zip(*rows, strict=True)] or [0.0] * len(metrics.cells)
    for one in _COUNTS:
        match one:
            case Counter():
                yield CounterMetricFamily(one.about.name, one.about.help, value=sums[one.place])
            case CounterFamily():
                yield _labelled(one, sums)
            case Histogram():
                yield HistogramMetricFamily(
                    one.about.name, one.about.help, buckets=_buckets(one, sums), sum_value=sums[one.sum_place]
                )


def gauges(rows_of: Mapping[str, Sequence[Row]]) -> Iterator[Metric]:
    """Gauges, one value for each worker; `rows_of` has the processes that live, by the name of their worker."""
    for one in _GAUGES:
        family = GaugeMetricFamily(one.about.name, one.about.help, labels=["worker"])
        for worker, rows in rows_of.items():
            value = one.combine([row[one.place] for row in rows])
            if value or not one.is_time:  # the time of what has not happened yet is none
                family.add_metric([worker], value)
        yield family


def _labelled(one: CounterFamily, sums: Row) -> CounterMetricFamily:
    family = CounterMetricFamily(one.about.name, one.about.help, labels=[one.label])
    for value, counter in one.counters.items():
        family.add_metric([value], sums[counter.place])
    return family


def _buckets(one: Histogram, sums: Row) -> list[tuple[str, float]]:
    """Prometheus' buckets hold those below as well."""
    below, buckets = 0.0, []
    for number, bound in enumerate((*map(str, one.bounds), "+Inf")):
        below += sums[one.first_place + number]
        buckets.append((bound, below))
    return buckets


class _ThisProcess(Collector):
    """The workers that are embedded in this process."""

    def collect(self) -> Iterator[Metric]:
        row = metrics.cells.read()
        yield from counts([row])
        yield from gauges({"embedded": [row]})


registry = CollectorRegistry()
registry.register(_ThisProcess())
