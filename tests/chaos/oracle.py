"""What has to be true once everything has ended, whatever was done to the system meanwhile."""

from __future__ import annotations

from collections import Counter, defaultdict

from psycopg.rows import TupleRow

from tests.chaos.witness import STEPS, WAIT_AFTER, Ledger, Post, Witnesses
from tests.engine.database import Database

_SEND = "durable::http::send(POST %)"
_STEP = (
    "wasi:clocks/wall-clock.now",
    "wasi:random/random.get-random-u64",
    _SEND,
    "row",
    "wasi:io/streams.output-stream.write",
)
_WAIT = ("durable:core/notify.notification-blocking", "wasi:io/streams.output-stream.write")


def judge(witnesses: Witnesses) -> str:
    """Raises AssertionError that names the first task which is not as it has to be; else the figures in one line."""
    database, ledger, posts = witnesses.database, witnesses.crowd.ledger, witnesses.receiver.seen()
    leases: dict[int, int] = dict(database.query("SELECT id, lease FROM durable.task"))
    found = _check_launches(database.query("SELECT id, name, state::text FROM durable.task"), ledger, database)
    rows = _check_rows(database.query("SELECT task, step, seconds, number, lease FROM witness.step"), leases)
    repeated = _check_posts(posts, rows, leases)
    _check_journals(database.query("SELECT task_id, index, label FROM durable.event ORDER BY 1, 2"), leases)
    _check_logs(database.query("SELECT task_id, message FROM durable.log ORDER BY task_id, index"), rows, ledger)
    return (
        f"{len(leases)} tasks ({ledger.in_doubt} launches failed, {found} of them took place), {len(rows)} rows, "
        f"{len(posts)} requests, {repeated} of them repeated, {sum(leases.values())} claims"
    )


def _check_launches(tasks: list[TupleRow], ledger: Ledger, database: Database) -> int:
    """Each launch that was acknowledged took place, none twice, and all tasks are complete. How many others did."""
    for task, _, state in tasks:
        assert state == "complete", f"task {task} is {state}: {database.failure(task)}"
    ids = {name: task for task, name, _ in tasks}
    assert len(ids) == len(tasks), f"launched twice: {[task for task, name, _ in tasks if ids[name] != task]}"
    assert ids.keys() <= ledger.launches.keys(), "launched by nobody"
    lost = {name: task for name, task in ledger.launches.items() if task not in (None, ids.get(name))}
    assert not lost, f"acknowledged and lost: {lost}"
    return len(ids) - ledger.acknowledged


def _check_rows(found: list[TupleRow], leases: dict[int, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """Each step of each task once, by leases that never went back. (seconds, number) of each."""
    seen = Counter((task, step) for task, step, *_ in found)
    doubled = [key for key, count in seen.items() if count != 1]
    assert not doubled, f"doubled database effects: {doubled[:10]}"
    missing = {(task, step) for task in leases for step in range(STEPS)} ^ set(seen)
    assert not missing, f"lost or foreign database effects: {sorted(missing)[:10]}"
    by_task: defaultdict[int, list[int]] = defaultdict(list)
    for task, _, _, _, lease in sorted(found):
        by_task[task].append(lease)
    for task, of_steps in by_task.items():
        assert of_steps == sorted(of_steps) and of_steps[-1] <= leases[task], (task, of_steps, leases[task])
    return {(task, step): (seconds, number) for task, step, seconds, number, _ in found}


def _check_posts(
    posts: list[Post], rows: dict[tuple[int, int], tuple[int, int]], leases: dict[int, int]
) -> int:  # fmt: skip
    """Each step at least once and always with the same answers; repeats by later claims only. How many repeats."""
    sent = Counter((post.task, post.step) for post in posts)
    assert set(sent) == set(rows), f"never sent: {sorted(set(rows) - set(sent))[:10]}"
    for post in posts:
        # Whoever saw a number may rely on it: no later run draws another one.
        assert (post.seconds, post.number) == rows[post.task, post.step], post
    repeats = Counter(dict.fromkeys(leases, 0))
    for (task, _), count in sent.items():
        repeats[task] += count - 1
    for task, count in repeats.items():
        assert count <= leases[task] - 1, f"task {task}: {count} repeated requests in {leases[task]} claims"
    return repeats.total()


def _check_journals(events: list[TupleRow], leases: dict[int, int]) -> None:
    """Dense, and call by call those of an undisturbed run."""
    expected: list[str] = []
    for step in range(STEPS):
        expected += [*_STEP, *(_WAIT if step == WAIT_AFTER else ())]
    journals: defaultdict[int, list[tuple[int, str]]] = defaultdict(list)
    for task, index, label in events:
        journals[task].append((index, _SEND if label.startswith(_SEND[:-2]) else label))
    assert set(journals) == set(leases)
    for task, journal in journals.items():
        assert journal == list(enumerate(expected)), (task, journal)


def _check_logs(
    messages: list[TupleRow], rows: dict[tuple[int, int], tuple[int, int]], ledger: Ledger
) -> None:  # fmt: skip
    """Line by line what happened, none lost, none doubled; the notification is one that was sent."""
    texts: defaultdict[int, str] = defaultdict(str)
    for task, message in messages:
        texts[task] += message
    for task in {task for task, _ in rows}:
        lines = texts[task].splitlines()
        assert len(lines) == STEPS + 1, (task, lines)
        told = lines.pop(WAIT_AFTER + 1)
        assert lines == [f"step {step} {rows[task, step][0]} {rows[task, step][1]}" for step in range(STEPS)], task
        assert told in {f"go {number}" for number in ledger.told.get(task, ())}, (task, told)
