"""What a guest can wait for with `wasi:io/poll`: a point in time, or a stream, which never keeps it waiting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from durable.execution.outcome import Suspend
from durable.execution.run import Run
from durable.journal import labels
from durable.journal.part import TaskChange
from durable.model import TaskState
from durable.wasm.traps import GuestTrap


@dataclass(frozen=True, slots=True)
class Pollable:
    """Ready once the task's clock has reached `deadline`, in nanoseconds since the Unix epoch; 0 is always ready."""

    deadline: int = 0


ALWAYS_READY = Pollable()


async def poll(run: Run, pollables: Sequence[Pollable]) -> list[int]:
    """Wait until at least one is ready; the indexes of those that are. This is what `thread::sleep` calls."""
    if not pollables:
        raise GuestTrap("poll was called with an empty list, which would wait for ever")
    if run.transaction is not None:
        return await _wait(run, pollables)
    await run.prepare()
    value = run.replay(labels.POLL)
    if value is not None:
        return list(json.loads(value))
    ready = await _wait(run, pollables)
    run.append(labels.POLL, json.dumps(ready))
    return ready


async def block(run: Run, pollable: Pollable) -> None:
    if run.transaction is not None:
        await sleep_until(run, pollable.deadline)
        return
    await run.prepare()
    if run.replay(labels.POLLABLE_BLOCK) is None:
        await sleep_until(run, pollable.deadline)
        run.append(labels.POLLABLE_BLOCK, "null")


def ready(run: Run, pollable: Pollable) -> bool | Coroutine[Any, Any, bool]:
    return run.record(
        labels.POLLABLE_READY, lambda: pollable.deadline <= run.instant(), json.dumps, lambda text: text == "true"
    )


async def sleep_until(run: Run, deadline: int) -> None:
    """Sleep in memory for a short time; raise Suspend for a long one.

    Within a transaction the guest always stays in memory: its body would start again from the top for ever.
    """
    seconds = run.clock.seconds_until(deadline)
    if seconds > run.config.suspend_timeout and run.transaction is None:
        raise Suspend(TaskChange(TaskState.SUSPENDED, wakeup_at=microseconds(deadline), wakes_on_notification=False))
    while seconds > 0:
        await asyncio.sleep(seconds)
        seconds = run.clock.seconds_until(deadline)


def microseconds(nanoseconds: int) -> int:
    """Rounded up: a timer is never early."""
    return -(-nanoseconds // 1000)


async def _wait(run: Run, pollables: Sequence[Pollable]) -> list[int]:
    await sleep_until(run, min(one.deadline for one in pollables))
    now = run.instant()
    return [index for index, one in enumerate(pollables) if one.deadline <= now]


FUNCTIONS = {
    "wasi:io/poll": {
        "poll": poll,
        "[method]pollable.ready": ready,
        "[method]pollable.block": block,
    }
}
