"""What has to hold for every task at every moment, whatever its program is."""

from __future__ import annotations

from collections.abc import Iterator

from durable.journal import labels
from durable.model import TaskState
from durable.store.leases import MAX_DEATHS
from workers.simulation.snapshot import Ledger, Recorded, Snapshot, TaskRow


class Violation(Exception):
    """Something that durable promises does not hold."""


def problems(before: Snapshot, now: Snapshot, ledger: Ledger) -> Iterator[str]:
    """What must not be, in words; nothing when all is well."""
    for task_id, task in now.tasks.items():
        journal = now.journals[task_id]
        yield from _of_the_state(task)
        if task_id in before.tasks:
            yield from _of_the_change(before.tasks[task_id], task, ledger)
            yield from _of_the_journal(task, before.journals[task_id], journal)
            yield from _of_the_writing(before, now, task)
        yield from _of_the_log(task, now.printed(task_id), journal)
        yield from _of_the_deadline(task, journal, ledger)
        if task.state is TaskState.QUARANTINED and ledger.deaths[task_id] < MAX_DEATHS:
            yield f"{task} is quarantined: {now.reason(task_id)}"
    for task_id in before.tasks.keys() - now.tasks.keys():
        yield f"task {task_id} is gone"


def _of_the_state(task: TaskRow) -> Iterator[str]:
    if (task.running_on is not None) != (task.state is TaskState.ACTIVE):
        yield f"{task} is {task.state} and running on {task.running_on}"
    if task.has_completed_at != task.state.is_final:
        yield f"{task} is {task.state}, and completed_at says otherwise"


def _of_the_change(before: TaskRow, task: TaskRow, ledger: Ledger) -> Iterator[str]:
    if before.state.is_final and task != before:
        yield f"{task} had ended and changed: {before!r} became {task!r}"
    if task.state is TaskState.CANCELLED and before.state is not task.state and task.id not in ledger.cancelled:
        yield f"{task} was cancelled by nobody"
    if task.lease < before.lease:
        yield f"{task} had lease {before.lease} and has {task.lease}"
    elif task.running_on not in (before.running_on, None) and task.lease == before.lease:
        yield f"{task} runs on worker {task.running_on} without a lease of its own"


def _of_the_journal(task: TaskRow, before: list[Recorded], journal: list[Recorded]) -> Iterator[str]:
    if [event.index for event in journal] != list(range(len(journal))):
        yield f"the journal of {task} is not dense: {[event.index for event in journal]}"
    if journal[: len(before)] != before:
        yield f"what was in the journal of {task} has changed"


def _of_the_writing(before: Snapshot, now: Snapshot, task: TaskRow) -> Iterator[str]:
    """Who has no lease writes nothing: neither a worker that had it before nor one that is to have it."""
    old = before.tasks[task.id]
    if old.state is TaskState.ACTIVE or task.lease != old.lease:
        return
    if now.journals[task.id] != before.journals[task.id] or now.printed(task.id) != before.printed(task.id):
        yield f"{task} was {old.state} and is {task.state}, and somebody has written for it under lease {task.lease}"


def _of_the_log(task: TaskRow, printed: dict[int, str], journal: list[Recorded]) -> Iterator[str]:
    """What was printed is there with its event, but for what a transaction had printed in which the task failed."""
    if task.state not in (TaskState.FAILED, TaskState.QUARANTINED) and any(index >= len(journal) for index in printed):
        yield f"{task} has {len(journal)} events, and printed something at {max(printed)}"


def _of_the_deadline(task: TaskRow, journal: list[Recorded], ledger: Ledger) -> Iterator[str]:
    """When a task is to wake, once it was noted, stays; and no wait ends in vain before it."""
    # While it is active the row may still say when the wait before was to end.
    if task.wakeup_at is not None and task.state is TaskState.SUSPENDED:
        noted = ledger.wakeups.setdefault((task.id, len(journal)), task.wakeup_at)
        if noted != task.wakeup_at:
            yield f"{task} was to wake at {noted} µs, and then at {task.wakeup_at} µs, for the same event"
    if task.wait_until is not None and task.wait_index is not None:
        noted = ledger.deadlines.setdefault((task.id, task.wait_index), task.wait_until)
        if noted != task.wait_until:
            yield f"the deadline of {task} at event {task.wait_index} moved"
    for event in journal:
        deadline = ledger.deadlines.get((task.id, event.index))
        if deadline is None:
            continue
        if event.label != labels.NOTIFICATION_TIMEOUT:
            yield f"{task} waited at event {event.index}, which is {event.label}"
        if event.value == "null" and event.created_at < deadline:
            yield f"the wait of {task} at event {event.index} ended {deadline - event.created_at} µs early"
