"""All benchmarks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from benchmarks.figures import Figure
from benchmarks.latency import launch_to_start, notify_to_woken
from benchmarks.launching import launching
from benchmarks.memory import memory
from benchmarks.outside import http, sql
from benchmarks.recovery import recovery
from benchmarks.replay import replay
from benchmarks.stage import Stage
from benchmarks.startup import startup
from benchmarks.suspended import suspended
from benchmarks.throughput import no_op, ten_events
from benchmarks.yardstick import yardstick

Benchmark: TypeAlias = Callable[[Stage], Iterator[Figure]]

BENCHMARKS: Mapping[str, Benchmark] = {
    "yardstick": yardstick,
    "no-op": no_op,
    "ten-events": ten_events,
    "http": http,
    "sql": sql,
    "launch": launching,
    "start-latency": launch_to_start,
    "notify-latency": notify_to_woken,
    "replay": replay,
    "recovery": recovery,
    "memory": memory,
    "suspended": suspended,
    "startup": startup,
}
