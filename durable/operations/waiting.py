"""Wait for a task to end. Hints only cause an earlier look; a poll stands behind every wait."""

from __future__ import annotations

from functools import partial
from time import monotonic

from durable.errors import TaskFailed, WaitTimeout
from durable.model import Task, TaskState
from durable.operations.patience import POLL_INTERVAL, patiently
from durable.operations.reading import reason
from durable.operations.steps import Listen, Operation, Wait
from durable.operations.tasks import get, state_of

_CHANNELS = ("durable:task-complete",)


def wait(task_id: int, timeout: float | None, raise_on_failure: bool) -> Operation[Task]:
    """The task, once it has ended.

    Raises WaitTimeout after `timeout` seconds, UnknownTask, and with `raise_on_failure` TaskFailed when it
    ended in a state other than complete.
    """
    deadline = None if timeout is None else monotonic() + timeout
    state = yield from state_of(task_id)
    if not state.is_ended:
        yield Listen(_CHANNELS, task_id)
        yield from _until_ended(task_id, deadline)
    task = yield from patiently(partial(get, task_id))
    if raise_on_failure and task.state is not TaskState.COMPLETE:
        raise TaskFailed((yield from failure(task.id, task.state)))
    return task


def failure(task_id: int, state: TaskState) -> Operation[str]:
    """What there is to say of a task that ended badly: its state, and the beginning of the reason."""
    lines = yield from patiently(partial(reason, task_id))
    because = next((line.message.strip().splitlines()[0] for line in lines if line.message.strip()), "no reason given")
    return f"task {task_id} {state}: {because}\n`durable logs {task_id}` shows all of it"


def _until_ended(task_id: int, deadline: float | None) -> Operation[None]:
    while True:
        state = yield from patiently(partial(state_of, task_id), deadline)
        if state.is_ended:
            return
        remaining = POLL_INTERVAL if deadline is None else deadline - monotonic()
        if remaining <= 0:
            raise WaitTimeout(f"task {task_id} is still {state}; it goes on")
        yield Wait(min(POLL_INTERVAL, remaining))
