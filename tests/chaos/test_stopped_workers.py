"""A worker that is stopped at any point of a step, and goes on when others have ended its tasks, writes nothing.

Several workers stop themselves with SIGSTOP; one that does not takes their tasks and ends them. Then they go on all at
once, each with what it had in mind, and not a row may change. They even believe that they still have their leases, for
theirs are said to last ten times as long as they do: only the fence in the database keeps them from writing. For the
same time PostgreSQL leaves the transactions open that workflows of theirs are in, with what they wrote: whoever takes
the tasks must not have to wait for that. Prints how often that was tried.

A request that was about to be sent is sent when a worker goes on. That is what "at least once" means, and the oracle
counts: at most one for each time that a task was taken over.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.oracle import judge
from tests.chaos.witness import Witnesses, witnesses
from tests.engine.database import Database, wait_until
from tests.engine.service import Service, running_service
from tests.proof import IS_FULL, figure, seed

pytestmark = [pytest.mark.proof(minutes=4), pytest.mark.timeout(1200)]

#: Point and count: where a worker stops, each so many times that it gets there. The counts have no common divisor with
#: the length of a step, so that the same setting stops at one event now and at another one later.
POINTS = [
    ("claim.done", 1), ("event.added", 1), ("event.added", 3), ("event.added", 7), ("event.added", 11),
    ("append.before", 1), ("append.before", 3), ("append.done", 1), ("append.done", 3), ("suspend.before", 1),
    ("finish.before", 1), ("finish.done", 1),
    ("request.before", 1), ("request.before", 3), ("response.here", 1), ("response.here", 3),
    ("sql.begun", 1), ("sql.begun", 3), ("record.before", 1), ("record.before", 3), ("commit.done", 1),
]  # fmt: skip
#: At these a workflow's transaction is open: its row in the witness table is not there yet, or not committed.
IN_TRANSACTION = ("sql.begun", "record.before")
#: Seconds within which a task is told that it may go on: whether it gets to wait for that until it is suspended.
QUICK, SLOW = 0.3, 2.0
VICTIMS = figure(4, 8)
TRIALS = figure(8, 500)

_SETTINGS = {
    "heartbeat_interval": "0.4", "poll_interval": "0.2", "suspend_timeout": "0.1", "egress_allow": "127.0.0.1",
    "max_tasks": "2",  # so that every worker gets some
    "log_level": "error",
}  # fmt: skip
_SOUND = {**_SETTINGS, "heartbeat_timeout": "1.2"}
_VICTIMS = {**_SETTINGS, "heartbeat_timeout": "12"}


def test_a_worker_that_was_stopped_for_longer_than_its_lease_writes_nothing(
    database: Database, cache_folder: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed())
    points = POINTS if IS_FULL else chance.sample(POINTS, 1)
    seen: Counter[str] = Counter()
    with (
        witnesses(database, chance) as scene,
        running_service(database, cache_folder, tmp_path / "sound.log", workers=1, **_SOUND),
    ):
        for number, (point, count) in enumerate(points):
            wanted = TRIALS * (number + 1) // len(points) - seen["trials"]
            seen += _try(point, count, wanted, scene, cache_folder, tmp_path / f"{number}.log")
        print(
            f"{seen['trials']} trials at {len(points)} points, {seen['open']} transactions of workflows open "
            f"meanwhile, {seen['late']} requests by stale workers, 0 rows; {judge(scene)}"
        )
    assert seen["trials"] >= TRIALS


def _try(point: str, count: int, wanted: int, scene: Witnesses, cache_folder: Path, log: Path) -> Counter[str]:
    """Stop workers at this point until that was done so often. What was seen of them."""
    rounds, seen = 0, Counter[str]()
    with ExitStack() as services:
        victims = services.enter_context(
            running_service(
                scene.database, cache_folder, log, workers=VICTIMS, failpoint=f"{point}:{count}+:-:stop", **_VICTIMS
            )
        )
        while seen["trials"] < wanted:
            rounds += 1
            assert rounds <= wanted, f"{point} was reached too seldom: {seen['trials']} times in {rounds} rounds"
            seen += _one_round(scene, victims, SLOW if point == "suspend.before" else QUICK)
    assert seen["open"] or point not in IN_TRANSACTION, f"no transaction was open at {point}"
    return seen


def _one_round(scene: Witnesses, victims: Service, notified_within: float) -> Counter[str]:
    """Let workers stop over new tasks, and go on when these are at their end. What was seen of them."""
    tasks = scene.crowd.launch(2 * VICTIMS + 4)

    def ended() -> bool:
        scene.crowd.tell(notified_within)
        return not scene.unfinished()

    wait_until(ended, "the end of tasks whose workers stand still", 60)
    stopped = [pid for pid in victims.pids() if _is_stopped(pid)]
    held = _open_transactions(scene.database)
    before, requests = _all_rows(scene.database, tasks[0]), len(scene.receiver.seen())
    left = set(stopped)
    wait_until(lambda: not _go_on(scene.database, left), "all stopped workers begin anew")
    changed = before ^ _all_rows(scene.database, tasks[0])
    assert not changed, f"written by a stale worker: {sorted(map(str, changed))[:5]}"
    return Counter(trials=len(stopped), open=held, late=len(scene.receiver.seen()) - requests)


def _open_transactions(database: Database) -> int:
    return int(
        database.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'durable guest' AND state = 'idle in transaction'"
        )
    )


def _all_rows(database: Database, first: int) -> set[tuple[object, ...]]:
    """Everything there is of these tasks, and what they did."""
    return {
        (table, *map(str, row))
        for table, rows in (
            ("task", database.query("SELECT * FROM durable.task WHERE id >= %s", first)),
            ("event", database.query("SELECT * FROM durable.event WHERE task_id >= %s", first)),
            ("log", database.query("SELECT * FROM durable.log WHERE task_id >= %s", first)),
            ("notification", database.query("SELECT * FROM durable.notification WHERE task_id >= %s", first)),
            ("step", database.query("SELECT ctid, * FROM witness.step WHERE task >= %s", first)),
        )
        for row in rows
    }


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _go_on(database: Database, stopped: set[int]) -> set[int]:
    """Those that have not found out yet that their leases are over: then each is a new worker to the database.

    Until then it may come past the point once more.
    """
    for pid in filter(_is_stopped, stopped):
        os.kill(pid, signal.SIGCONT)
    stopped -= {pid for (pid,) in database.query("SELECT pid FROM durable.worker")}
    return stopped
