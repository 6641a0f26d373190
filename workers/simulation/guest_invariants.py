"""What has to hold for the guests of the simulation, whose events tell who wrote them and what they knew."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from durable.journal import labels
from durable.model import TaskState
from workers.simulation.snapshot import Ledger, Recorded, Snapshot


def guest_problems(now: Snapshot, ledger: Ledger) -> Iterator[str]:
    """What must not be, in words; nothing when all is well."""
    for task_id, task in now.tasks.items():
        if task.state is TaskState.FAILED:
            yield f"{task} failed, although no guest can: {now.reason(task_id)}"
        yield from _of_the_leases(task_id, now.journals[task_id])
        yield from _of_the_prints(now, task_id)
        yield from _of_the_requests(task_id, now.journals[task_id], ledger)
    yield from _of_the_messages(now, ledger)
    yield from _of_the_effects(now)


def _of_the_leases(task_id: int, journal: list[Recorded]) -> Iterator[str]:
    leases = [json.loads(event.value)["lease"] for event in journal if event.label in ("step", "request", "insert")]
    if leases != sorted(leases):
        yield f"the journal of task {task_id} was written under leases {leases}: under one that was over"


def _of_the_prints(now: Snapshot, task_id: int) -> Iterator[str]:
    """Once each, with the event of the transaction."""
    for event in now.journals[task_id]:
        if event.label in ("step", "request", "insert"):
            said, there = json.loads(event.value)["printed"], now.logs[task_id].get(event.index, "")
            if there != said:
                yield f"task {task_id} printed {said!r} in its transaction at event {event.index}; there is {there!r}"


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
        known = arrived.get((sender, task_id), [])
        if len(known) != count:
            yield f"{sender} sent {count} notifications to task {task_id}, and {known} are known"
    for task_id, journal in now.journals.items():
        said = sum(event.label == labels.NOTIFY and "Ok" in json.loads(event.value) for event in journal)
        known_of_it = sum(len(numbers) for (sender, _), numbers in arrived.items() if sender == f"task {task_id}")
        if said != known_of_it:
            yield f"task {task_id} recorded {said} notifications, and {known_of_it} are known"


def _of_the_effects(now: Snapshot) -> Iterator[str]:
    recorded = sorted(
        (task_id, event.index, json.loads(event.value)["lease"])
        for task_id, journal in now.journals.items()
        for event in journal
        if event.label == "insert"
    )
    if recorded != sorted(now.effects):
        yield f"SQL took effect as {now.effects}, and the journals say {recorded}"


def _is_taken(event: Recorded) -> bool:
    return event.label in (labels.NOTIFICATION, labels.NOTIFICATION_TIMEOUT) and event.value != "null"
