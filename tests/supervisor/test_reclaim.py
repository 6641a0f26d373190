"""The tasks of a dead worker are taken back at once, by whoever lives."""

from __future__ import annotations

import os
import signal

from .conftest import Start


def test_a_live_sibling_is_asked_at_once(start: Start) -> None:
    service = start(2)
    victim, sibling = service.wait_ready(2)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.reclaimed() == {victim}, patience=1.0)
    assert service.pids("reclaimed") == [sibling]


def test_with_one_worker_its_successor_is_asked(start: Start) -> None:
    service = start(1)
    [victim] = service.wait_ready(1)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.reclaimed() == {victim}, patience=2.0)
    assert service.pids("reclaimed") == service.wait_ready(1)


def test_what_an_asked_worker_leaves_behind_goes_to_another(start: Start) -> None:
    service = start(3, tell={"reclaim-hangs": ""})
    victim = service.wait_ready(3)[0]
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.events("asked"))
    [asked] = service.pids("asked")
    os.kill(asked, signal.SIGKILL)
    service.untell("reclaim-hangs")
    service.wait_until(lambda: service.reclaimed() == {victim, asked})
    assert asked not in service.pids("reclaimed")


def test_rows_of_workers_that_die_one_after_the_other_are_kept_until_one_is_ready(start: Start) -> None:
    service = start(1)
    [first] = service.wait_ready(1)
    service.tell("boot-registered", "1")
    os.kill(first, signal.SIGKILL)
    service.wait_log("exited with status 1", times=2)
    service.untell("boot-registered")
    service.wait_ready(1)
    dead = set(service.pids("start")) - set(service.ready_pids())
    service.wait_until(lambda: service.reclaimed() == dead)
    assert len(dead) >= 3


def test_a_sibling_that_stands_still_is_passed_over(start: Start) -> None:
    service = start(2)
    victim, still = service.wait_ready(2)
    os.kill(still, signal.SIGSTOP)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.reclaimed() == {victim}, patience=5.0)
    assert still not in service.pids("reclaimed")


def test_a_sibling_tries_until_it_works(start: Start) -> None:
    service = start(2, tell={"reclaim-fails": "unavailable"})
    victim, _ = service.wait_ready(2)
    os.kill(victim, signal.SIGKILL)
    service.wait_log("yet: the database does not answer")
    service.untell("reclaim-fails")
    service.wait_until(lambda: service.reclaimed() == {victim})


def test_a_bug_in_reclaim_does_not_kill_one_worker_after_the_other(start: Start) -> None:
    service = start(2, tell={"reclaim-fails": "bug"})
    victim, sibling = service.wait_ready(2)
    os.kill(victim, signal.SIGKILL)
    service.wait_log("ZeroDivisionError")
    assert sibling in service.wait_ready(2)
    service.untell("reclaim-fails")
    service.wait_until(lambda: service.reclaimed() == {victim})


def test_nobody_is_asked_after_a_clean_drain(start: Start) -> None:
    service = start(2)
    service.wait_ready(2)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0
    assert service.events("asked") == []
    assert "have to wait" not in service.log


def test_a_draining_worker_still_takes_back_what_another_left(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""})
    victim, other = service.wait_ready(2)
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: len(service.pids("drain")) == 2)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.reclaimed() == {victim})
    service.untell("drain-hangs")
    assert service.exit_status() == 1
    assert service.pids("reclaimed") == [other]


def test_the_task_that_a_dead_worker_was_computing_for_is_named(start: Start) -> None:
    service = start(2, tell={"computing": "31 4"})
    victim, _ = service.wait_ready(2)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.events("blamed: was killed by signal SIGKILL"))
    [blamed] = service.events("blamed: was killed by signal SIGKILL")
    assert blamed.worker_ids == [31, 4]


def test_no_task_is_named_when_the_worker_was_idle(start: Start) -> None:
    service = start(2)
    victim, _ = service.wait_ready(2)
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.reclaimed() == {victim})
    assert not [event for event in service.events() if event.name.startswith("blamed")]
