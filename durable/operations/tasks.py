"""Launch tasks, send them notifications, look at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from durable.errors import NotResumable, TaskEnded, UnknownProgram, UnknownTask
from durable.model import FAILURE_LOG_INDEX, Program, Task, TaskState, WorkerInfo
from durable.operations.data import encode, notification_data, storable, task_data, task_name
from durable.operations.programs import Plugins, ProgramSource, program
from durable.operations.steps import Operation, Statement
from durable.store import queries

_TASK = queries.load("task")
_NOTIFICATION = queries.load("notification")
_WORKERS = queries.load("worker_list")

RESUMABLE = (TaskState.QUARANTINED, TaskState.PAUSED)


def launch(name: str, source: ProgramSource, data: object, limit: int, plugins: Plugins = None) -> Operation[int]:
    """Insert a task, whose data has at most `limit` bytes, and return its id.

    Raises InvalidTask before anything is sent, and see `program`.
    """
    parameters = {"name": task_name(name), "data": task_data(data, limit)}
    runs = yield from program(source, plugins=plugins)
    rows = yield Statement(_TASK["launch"], {**parameters, "program_id": runs.id})
    return int(_unless_gone(rows, runs)[0][0])


def launch_many(
    source: ProgramSource, tasks: Iterable[tuple[str, object]], limit: int, plugins: Plugins = None
) -> Operation[list[int]]:
    """Insert all tasks with one statement: all of them or none. The ids are in the order of the tasks."""
    new = [(task_name(name), task_data(data, limit)) for name, data in tasks]
    if not new:
        return []
    runs = yield from program(source, plugins=plugins)
    parameters = {
        "names": encode([name for name, _ in new]),
        "data": f"[{','.join([data for _, data in new])}]",
        "program_id": runs.id,
    }
    rows = yield Statement(_TASK["launch_many"], parameters)
    return [int(row[0]) for row in _unless_gone(rows, runs)]


def notify(task_id: int, event: str, data: object, limit: int) -> Operation[None]:
    """Send a notification. Raises InvalidTask, UnknownTask, TaskEnded."""
    text = notification_data(data, storable(event, "the event"), limit)
    parameters = {"task_id": known(task_id), "event": event, "data": text}
    rows = yield Statement(_NOTIFICATION["send"], parameters)
    state = _the_state(rows, task_id)
    if state.is_final:
        raise TaskEnded(f"task {task_id} is {state} and takes no more notifications")


def cancel(task_id: int) -> Operation[None]:
    """End a task wherever it is. Raises UnknownTask, TaskEnded."""
    rows = yield Statement(_TASK["cancel"], {"task_id": known(task_id)})
    state = _the_state(rows, task_id)
    if state.is_final:
        raise TaskEnded(f"task {task_id} is {state} already")


def pause(task_id: int) -> Operation[None]:
    """Take a task out of the running until it is resumed. Raises UnknownTask, TaskEnded."""
    rows = yield Statement(_TASK["pause"], {"task_id": known(task_id)})
    state = _the_state(rows, task_id)
    if state.is_ended:
        raise TaskEnded(f"task {task_id} is {state}: there is nothing to pause")


def resume(task_id: int) -> Operation[None]:
    """Let a quarantined or paused task go on. Raises UnknownTask, NotResumable."""
    rows = yield Statement(_TASK["resume"], {"task_id": known(task_id), "reason_index": FAILURE_LOG_INDEX})
    state = _the_state(rows, task_id)
    if state not in RESUMABLE:
        raise NotResumable(f"task {task_id} is {state}: only a quarantined or paused task can be resumed")


def get(task_id: int) -> Operation[Task]:
    """The task as it is now. Raises UnknownTask."""
    rows = yield Statement(_TASK["get"], {"task_id": known(task_id)})
    if not rows:
        raise UnknownTask(task_id)
    return _task(rows[0])


def tasks(state: TaskState | str | None, name_glob: str | None, limit: int | None) -> Operation[list[Task]]:
    """The newest tasks, at most `limit`. In `name_glob`, * stands for any text and ? for one character."""
    pattern = None if name_glob is None else like_pattern(storable(name_glob, "the pattern"))
    wanted = None if state is None else TaskState(state).value
    rows = yield Statement(_TASK["list"], {"state": wanted, "name_pattern": pattern, "limit": limit})
    return [_task(row) for row in rows]


def state_of(task_id: int) -> Operation[TaskState]:
    """The state alone. Raises UnknownTask."""
    rows = yield Statement(_TASK["state"], {"task_id": known(task_id)})
    return _the_state(rows, task_id)


def workers(heartbeat_timeout: float) -> Operation[list[WorkerInfo]]:
    """All registered workers; the dead among them have been silent for `heartbeat_timeout` seconds or longer."""
    rows = yield Statement(_WORKERS["list"], {"heartbeat_timeout": heartbeat_timeout})
    return [WorkerInfo(*row) for row in rows]


def known(task_id: int) -> int:
    """The id when it can be one at all. Raises UnknownTask for what is beyond a bigint, TypeError for a text."""
    task_id = index(task_id)
    if not 0 < task_id < 2**63:
        raise UnknownTask(task_id)
    return task_id


def like_pattern(glob: str) -> str:
    """A pattern for LIKE that matches what the glob matches."""
    escaped = glob.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return escaped.replace("*", "%").replace("?", "_")


def _task(row: Sequence[Any]) -> Task:
    id, name, state, *rest = row
    return Task(id, name, TaskState(state), *rest)


def _the_state(rows: Sequence[Sequence[Any]], task_id: int) -> TaskState:
    if not rows:
        raise UnknownTask(task_id)
    return TaskState(rows[0][0])


def _unless_gone(rows: Sequence[Sequence[Any]], runs: Program) -> Sequence[Sequence[Any]]:
    if not rows:
        raise UnknownProgram(f"the program {runs.hash[:12]} is not stored any more; store it again")
    return rows
