"""`wasi:clocks`: both clocks tell database time, so that they mean the same on every host."""

from __future__ import annotations

import json
from collections.abc import Coroutine
from typing import Any

from durable.execution.run import Run
from durable.host.datetimes import Datetime, nanoseconds_record
from durable.host.pollables import Pollable
from durable.journal import labels

_MICROSECOND = 1000
_U64_MAX = 2**64 - 1


def wall_now(run: Run) -> Datetime | Coroutine[Any, Any, Datetime]:
    def decode(text: str) -> Datetime:
        moment = _decode_datetime(text)
        run.remember_instant(moment[0] * 1_000_000_000 + moment[1])
        return moment

    return run.record(labels.WALL_CLOCK, lambda: _to_microsecond(run.instant()), _encode_datetime, decode)


def wall_resolution(run: Run) -> Datetime:
    return 0, _MICROSECOND


def monotonic_now(run: Run) -> int | Coroutine[Any, Any, int]:
    """Nanoseconds since the Unix epoch: meaningful on another host, and never going backwards within a task."""
    return run.record(labels.MONOTONIC_CLOCK, run.instant, str, lambda text: run.remember_instant(int(text)))


def monotonic_resolution(run: Run) -> int:
    return _MICROSECOND


def subscribe_instant(run: Run, when: int) -> Pollable:
    return Pollable(when)


def subscribe_duration(run: Run, duration: int) -> Pollable | Coroutine[Any, Any, Pollable]:
    """The deadline must be the same after a crash, so the instant it counts from is recorded."""
    start = monotonic_now(run)
    return _deadline(start, duration) if isinstance(start, int) else _deadline_later(start, duration)


async def _deadline_later(start: Coroutine[Any, Any, int], duration: int) -> Pollable:
    return _deadline(await start, duration)


def _deadline(start: int, duration: int) -> Pollable:
    return Pollable(min(start + duration, _U64_MAX))


def _to_microsecond(instant: int) -> Datetime:
    return nanoseconds_record(instant - instant % _MICROSECOND)


def _encode_datetime(moment: Datetime) -> str:
    return json.dumps({"seconds": moment[0], "nanoseconds": moment[1]})


def _decode_datetime(text: str) -> Datetime:
    value = json.loads(text)
    return value["seconds"], value["nanoseconds"]


FUNCTIONS = {
    "wasi:clocks/wall-clock": {"now": wall_now, "resolution": wall_resolution},
    "wasi:clocks/monotonic-clock": {
        "now": monotonic_now,
        "resolution": monotonic_resolution,
        "subscribe-instant": subscribe_instant,
        "subscribe-duration": subscribe_duration,
    },
}
