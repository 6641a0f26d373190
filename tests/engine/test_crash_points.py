"""A process that dies at any point of the code leaves nothing that the next run could not mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.failpoints import POINTS
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.every_interface import EVERY_INTERFACE
from tests.proof import figure

LABELS = [
    "wasi:io/streams.output-stream.write",
    "wasi:clocks/wall-clock.now",
    "wasi:random/random.get-random-u64",
    "step",
    "wasi:clocks/monotonic-clock.now",
    "wasi:io/poll.pollable.block",
    "wasi:io/streams.output-stream.write",
]


def assert_whole(database: Database, task: int) -> None:
    """Journal, log and state are those of an undisturbed run, whatever clock and random number it drew."""
    assert database.state(task) == "complete"
    assert database.labels(task) == LABELS
    database.assert_dense(task)
    values = [value for _, _, value in database.events(task)]
    seconds, number = values[1]["seconds"], values[2]
    total = (seconds + number) % 2**64
    assert values[3] == {"type": "value", "data": {"sum": total, "text": "grüße"}}
    assert database.query("SELECT index, message FROM durable.log WHERE task_id = %s ORDER BY index", task) == [
        (0, "started\n"),
        (3, "in the step\n"),
        (6, f"{seconds} {number} {total} grüße\n"),
    ]


# A crash at each of the times that a point is passed in one run of six-steps; how many batches there are varies.
CRASHES = [
    *[("event.added", n) for n in range(1, 8)],
    *[(point, n) for point in ("append.before", "append.done") for n in (1, 2, 3)],
    ("claim.done", 1), ("finish.before", 1), ("finish.done", 1),
]  # fmt: skip


@pytest.mark.parametrize(("point", "count"), CRASHES)
def test_a_crash_at_any_step_changes_nothing(
    database: Database, start_service: StartService, tmp_path: Path, point: str, count: int
) -> None:
    marker = tmp_path / "crashed"
    start_service(workers=1, failpoint=f"{point}:{count}:{marker}")
    task = database.launch("six-steps")
    database.wait_for_end(task)
    assert_whole(database, task)
    if not point.startswith("append"):  # how many batches there are varies
        wait_until(marker.exists, "the crash")


def test_every_point_is_tried() -> None:
    tried = {point for point, _ in CRASHES} | {"register.done", "release.before"}
    assert tried | set(EVERY_INTERFACE) | {"reclaim.done"} == set(POINTS)


def test_a_worker_that_dies_as_it_registers_is_not_listed_for_long(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    """Its supervisor knows of the row, though the worker had no time to tell it that it has one."""
    marker = tmp_path / "crashed"
    service = start_service(workers=2, failpoint=f"register.done:1:{marker}")
    assert marker.exists()

    def listed() -> set[int]:
        return {row[0] for row in database.query("SELECT pid FROM durable.worker")}

    wait_until(lambda: listed() == set(service.pids()), "only the living are listed")


def test_a_crash_while_a_task_is_suspended(database: Database, start_service: StartService, tmp_path: Path) -> None:
    marker = tmp_path / "crashed"
    start_service(workers=1, failpoint=f"suspend.before:1:{marker}")
    task = database.launch("sleepy-sleep", {"seconds": 600})
    database.wait_for_state(task, "suspended")
    assert marker.exists()
    database.advance_clock(601)
    assert database.wait_for_end(task) == "complete"
    database.assert_dense(task)


def test_a_crash_while_a_drain_hands_tasks_back(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    marker = tmp_path / "crashed"
    service = start_service(workers=1, failpoint=f"release.before:1:{marker}")
    task = database.launch("sleep-n-go", {"count": 5, "seconds": 0.3})
    database.wait_for_state(task, "active")
    service.terminate()
    assert marker.exists()
    service.start()
    assert database.wait_for_end(task) == "complete"
    database.assert_dense(task)


SENDER_CRASHES = [
    (point, n) for point in ("event.added", "append.before", "append.done") for n in range(1, 7, figure(3, 1))
]  # fmt: skip


@pytest.mark.proof
@pytest.mark.parametrize(("point", "count"), SENDER_CRASHES)
def test_a_number_that_was_sent_is_the_number_in_the_journal(
    database: Database, start_service: StartService, tmp_path: Path, point: str, count: int
) -> None:
    """Output commit: what somebody else has seen can never be drawn again."""
    start_service(workers=1, failpoint=f"{point}:{count}:{tmp_path / 'crashed'}")
    receiver = database.launch("noop", task_name="receiver")
    assert database.wait_for_end(receiver) == "complete"
    database.query("UPDATE durable.task SET state = 'paused' WHERE id = %s", receiver)
    sender = database.launch("draw-and-notify", {"target": receiver})
    assert database.wait_for_end(sender) == "complete"
    received = [
        row[0]
        for row in database.query("SELECT data FROM durable.notification WHERE task_id = %s ORDER BY id", receiver)
    ]
    drawn = [value for _, label, value in database.events(sender) if "random" in label]
    assert len(received) == 3
    assert all(number in drawn for number in received), (received, drawn)
    database.assert_dense(sender)
