"""All benchmarks, in the order in which they run."""

from __future__ import annotations

from benchmarks.command import Benchmarks
from benchmarks.fleet import fleet
from benchmarks.growth import growth
from benchmarks.latency import launch_to_start, notify_to_woken
from benchmarks.launching import launching
from benchmarks.memory import memory
from benchmarks.outside import http, sql
from benchmarks.recovery import recovery
from benchmarks.replay import replay
from benchmarks.scaling import scaling
from benchmarks.startup import startup
from benchmarks.suspended import suspended
from benchmarks.throughput import no_op, ten_events
from benchmarks.timers import timers
from benchmarks.yardstick import yardstick

BENCHMARKS: Benchmarks = {
    "yardstick": yardstick,
    "no-op": no_op,
    "ten-events": ten_events,
    "http": http,
    "sql": sql,
    "launch": launching,
    "start-latency": launch_to_start,
    "notify-latency": notify_to_woken,
    "timers": timers,
    "replay": replay,
    "recovery": recovery,
    "memory": memory,
    "suspended": suspended,
    "startup": startup,
}

#: They take longer than all others together.
LONG: Benchmarks = {"growth": growth, "scaling": scaling, "fleet": fleet}
