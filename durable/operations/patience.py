"""Outlast a database that is away for a while: a restart, a failover."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any, TypeVar

from durable.errors import DatabaseUnavailable, TryAgain
from durable.operations.steps import Step, Wait

T = TypeVar("T")

#: Seconds between two looks at the database, when no hint arrives and when it is away.
POLL_INTERVAL = 1.0

#: Seconds for which a wait that has begun outlasts a database that is away.
PATIENCE = 60.0


def patiently(make: Callable[[], Generator[Step, Any, T]], deadline: float | None = None) -> Generator[Step, Any, T]:
    """The result of the operation that `make` makes, tried again while the database is away.

    Until `deadline` on the monotonic clock, when there is one, and never longer than PATIENCE.
    """
    gives_up_at = monotonic() + PATIENCE
    if deadline is not None:
        gives_up_at = min(deadline, gives_up_at)
    while True:
        try:
            return (yield from make())
        except (DatabaseUnavailable, TryAgain):
            if monotonic() >= gives_up_at:
                raise
        yield Wait(POLL_INTERVAL)
