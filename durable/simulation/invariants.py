"""What has to hold at every moment of a run, judged by what the database holds and by what the simulation did."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from durable.journal import labels
from durable.model import CRASH_LOG_INDEX, FAILURE_LOG_INDEX, TaskState
from durable.store.leases import MAX_DEATHS


class Violation(Exception):
    """Something that durable promises does not hold."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as stored. `created_at` is in microseconds since 1970."""

    index: int
    label: str
    value: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The database at one moment."""

    tasks: dict[int, dict[str, Any]] = field(default_factory=dict)
    journals: dict[int, list[Recorded]] = field(default_factory=dict)
    logs: dict[int, dict[int, str]] = field(default_factory=dict)
    pending: dict[int, list[Any]] = field(default_factory=dict)  # data of notifications, by receiver
    effects: list[tuple[int, int, int]] = field(default_factory=list)
    workers: frozenset[int] = frozenset()
    open_transactions: int = 0

    @classmethod
    def of(cls, found: dict[str, Any]) -> Snapshot:
        journals: dict[int, list[Recorded]] = {task["id"]: [] for task in found["tasks"]}
        logs: dict[int, dict[int, str]] = {task: {} for task in journals}
        pending: dict[int, list[Any]] = {task: [] for task in journals}
        for task, *columns in found["events"]:
            journals[task].append(Recorded(*columns))
        for task, index, message in found["logs"]:
            logs[task][index] = message
        for task, _, data in found["notifications"]:
            pending[task].append(json.loads(data))
        return cls(
            {task["id"]: task for task in found["tasks"]}, journals, logs, pending,
            [(task, index, lease) for task, index, lease in found["effects"]],
            frozenset(found["workers"]), found["open_transactions"],
        )  # fmt: skip


@dataclass
class Ledger:
    """What the simulation did and saw itself: sent (sender, receiver), requests (task, index), deaths reported."""

    sent: dict[tuple[str, int], int] = field(default_factory=dict)
    requests: dict[tuple[int, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    deaths: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    deadlines: dict[tuple[int, int], int] = field(default_factory=dict)
    wakeups: dict[tuple[int, int], int] = field(default_factory=dict)
    faults: int = 0


def check(before: Snapshot, now: Snapshot, ledger: Ledger) -> None:
    """Raise Violation for the first thing that must not be."""
    for problem in problems(before, now, ledger):
        raise Violation(problem)


def problems(before: Snapshot, now: Snapshot, ledger: Ledger) -> Iterator[str]:
    for task_id, task in now.tasks.items():
        journal = now.journals[task_id]
        reason = now.logs[task_id].get(FAILURE_LOG_INDEX) or now.logs[task_id].get(CRASH_LOG_INDEX, "")
        yield from _of_the_task(task, before.tasks.get(task_id), ledger, reason)
        yield from _of_the_journal(task_id, before.journals.get(task_id, []), journal)
        yield from _of_the_deadline(task, journal, ledger)
        yield from _of_the_requests(task_id, journal, ledger)
    for task_id in before.tasks.keys() - now.tasks.keys():
        yield f"task {task_id} is gone"
    yield from _of_the_messages(now, ledger)
    yield from _of_the_effects(now)


def _of_the_task(
    task: dict[str, Any], before: dict[str, Any] | None, ledger: Ledger, reason: str
) -> Iterator[str]:
    name, state = f"task {task['id']}", TaskState(task["state"])
    if (task["running_on"] is not None) != (state is TaskState.ACTIVE):
        yield f"{name} is {state} and running on {task['running_on']}"
    if task["ended"] != state.is_final:
        yield f"{name} is {state}, but completed_at says otherwise"
    if state is TaskState.FAILED:
        yield f"{name} failed: {reason}"
    if state is TaskState.QUARANTINED and ledger.deaths[task["id"]] < MAX_DEATHS:
        yield f"{name} is quarantined after {ledger.deaths[task['id']]} deaths of its worker: {reason}"
    if before is None:
        return
    if TaskState(before["state"]).is_ended and task != before:
        yield f"{name} had ended and changed: {before} became {task}"
    if task["lease"] < before["lease"]:
        yield f"{name} had lease {before['lease']} and has {task['lease']}"
    elif task["running_on"] not in (before["running_on"], None) and task["lease"] == before["lease"]:
        yield f"{name} runs on worker {task['running_on']} without a lease of its own"


def _of_the_journal(task_id: int, before: list[Recorded], journal: list[Recorded]) -> Iterator[str]:
    if [event.index for event in journal] != list(range(len(journal))):
        yield f"the journal of task {task_id} is not dense: {[event.index for event in journal]}"
    if journal[: len(before)] != before:
        yield f"the journal of task {task_id} has changed"
    leases = [json.loads(event.value)["lease"] for event in journal if is_transaction(event)]
    if leases != sorted(leases):
        yield f"the journal of task {task_id} was written by leases {leases}: by one that was over"


def _of_the_deadline(task: dict[str, Any], journal: list[Recorded], ledger: Ledger) -> Iterator[str]:
    """The deadline of a wait, once noted, stays; and no wait ends in vain before it."""
    if task["wakeup_at"] is not None:
        noted = ledger.wakeups.setdefault((task["id"], len(journal)), task["wakeup_at"])
        if noted != task["wakeup_at"]:
            yield f"task {task['id']} was to wake at {noted} µs, and then at {task['wakeup_at']} µs, for the same event"
    if task["wait_until"] is not None:
        noted = ledger.deadlines.setdefault((task["id"], task["wait_index"]), task["wait_until"])
        if noted != task["wait_until"]:
            yield f"the deadline of task {task['id']} at event {task['wait_index']} moved"
    for event in journal:
        deadline = ledger.deadlines.get((task["id"], event.index))
        if deadline is None:
            continue
        if event.label != labels.NOTIFICATION_TIMEOUT:
            yield f"task {task['id']} waited at event {event.index}, which is {event.label}"
        if event.value == "null" and event.created_at < deadline:
            yield f"the wait of task {task['id']} at event {event.index} ended {deadline - event.created_at} µs early"


def _of_the_requests(task_id: int, journal: list[Recorded], ledger: Ledger) -> Iterator[str]:
    """Sent at least once before it was recorded, and telling of nothing that was answered differently later."""
    for event in journal:
        if event.label != "request":
            continue
        told = ledger.requests.get((task_id, event.index), [])
        if not told:
            yield f"task {task_id} recorded the answer to a request at event {event.index} that was never sent"
        if set(told) != {json.loads(event.value)["digest"]}:
            yield f"requests of task {task_id} at event {event.index} told of answers that its journal does not have"
        if len(told) > 1 + ledger.faults:
            yield f"task {task_id} sent its request at event {event.index} {len(told)} times in {ledger.faults} faults"


def _of_the_messages(now: Snapshot, ledger: Ledger) -> Iterator[str]:
    """Each exactly once, in the order of its sender: taken ones first, then those that wait."""
    arrived: dict[tuple[str, int], list[int]] = defaultdict(list)
    for task_id, journal in now.journals.items():
        taken = [json.loads(event.value)["data"] for event in journal if _is_taken(event)]
        for data in [*taken, *now.pending[task_id]]:
            arrived[data["from"], task_id].append(data["number"])
    for (sender, task_id), numbers in arrived.items():
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"task {task_id} got notifications {numbers} of {sender}"
    for (sender, task_id), count in ledger.sent.items():
        if len(arrived.get((sender, task_id), [])) != count:
            yield f"{sender} sent {count} notifications to task {task_id}: {arrived.get((sender, task_id), [])} are known"
    for task_id, journal in now.journals.items():
        said = sum(event.label == labels.NOTIFY and "Ok" in json.loads(event.value) for event in journal)
        known = sum(len(numbers) for (sender, _), numbers in arrived.items() if sender == f"task {task_id}")
        if said != known:
            yield f"task {task_id} recorded {said} notifications, and {known} are known"


def _of_the_effects(now: Snapshot) -> Iterator[str]:
    recorded = sorted(
        (task_id, event.index, json.loads(event.value)["lease"])
        for task_id, journal in now.journals.items()
        for event in journal
        if event.label == "insert"
    )
    if recorded != sorted(now.effects):
        yield f"SQL took effect as {now.effects}, and the journals say {recorded}"


def is_transaction(event: Recorded) -> bool:
    return event.label in ("step", "request", "insert")


def _is_taken(event: Recorded) -> bool:
    return event.label in (labels.NOTIFICATION, labels.NOTIFICATION_TIMEOUT) and event.value != "null"
