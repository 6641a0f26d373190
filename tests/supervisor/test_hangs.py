"""Workers that stand still, and supervisors that do."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from workers.hang_watch import LATE, Wakefulness, hung_at
from workers.link import Link, Progress, Ready
from workers.slots import Child

from .conftest import Start
from .processes import HAS_PROC, is_gone, state


def test_a_worker_that_stands_still_shows_where_and_is_replaced_at_once(start: Start) -> None:
    service = start(2, config={"hang_timeout": 5.0})
    still, other = service.wait_ready(2)
    service.tell(f"stalls-{still}")
    service.wait_gone(still)
    service.wait_log(f"(pid {still}) has shown no progress for 5 s; aborting it")
    service.wait_log("in stand_still")
    service.wait_log(f"(pid {still}) was killed by signal SIGABRT; starting it again\n")
    assert other in service.wait_ready(2)
    assert "did not react" not in service.log
    service.wait_until(lambda: service.reclaimed() == {still})


def test_a_worker_that_cannot_even_be_aborted_is_killed(start: Start) -> None:
    service = start(2, config={"hang_timeout": 5.0})
    still, other = service.wait_ready(2)
    os.kill(still, signal.SIGSTOP)
    service.wait_gone(still)
    service.wait_log(f"killing worker 1 (pid {still}), which did not react")
    service.wait_log(f"(pid {still}) was killed by signal SIGKILL; starting it again\n")
    assert other in service.wait_ready(2)


def test_a_worker_that_never_gets_ready_is_replaced_too(start: Start) -> None:
    service = start(1, tell={"boot-hangs": ""}, config={"hang_timeout": 0.4})
    service.wait_log("aborting it", times=2)
    service.wait_log("was killed by signal SIGABRT; starting it again in 0.1 s")


def test_a_worker_that_hangs_in_its_drain_need_not_use_up_the_time_for_it(start: Start) -> None:
    service = start(1, config={"hang_timeout": 5.0}, drain_timeout=1000.0)
    [pid] = service.wait_ready(1)
    os.kill(pid, signal.SIGSTOP)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 1
    assert is_gone(pid)


def freeze(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)


@pytest.mark.skipif(not HAS_PROC, reason="needs /proc")
def test_a_machine_that_was_asleep_for_longer_than_the_timeout_wakes_with_all_its_workers(start: Start) -> None:
    service = start(3, config={"hang_timeout": 5.0})
    pids = service.wait_ready(3)
    freeze(service.pid, *pids)
    service.wait_until(lambda: all(state(pid) == "T" for pid in (service.pid, *pids)))
    with pytest.raises(AssertionError):  # longer than the timeout, in which nothing may happen
        service.wait_until(lambda: False, patience=8.0)
    os.kill(service.pid, signal.SIGCONT)  # the supervisor first: it must not judge what it sees
    service.wait_log("was held up for")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    service.signal(signal.SIGQUIT)
    service.wait_log("thread MainThread: ", times=3)
    assert service.ready_pids() == pids
    assert "aborting" not in service.log


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lost_time_is_what_a_sleep_took_longer_than_it_should_have() -> None:
    clock = Clock()
    awake = Wakefulness(clock)
    for passed, wanted, lost in [(1.0, 1.0, 0.0), (0.2, 1.0, 0.0), (LATE, 0.0, 0.0), (60.0, 1.0, 59.0), (9.0, None, 0)]:
        clock.now += passed
        assert awake.slept(wanted) == pytest.approx(lost)
        assert awake.since == clock.now


def test_time_lost_between_two_sleeps_counts_as_well() -> None:
    clock = Clock()
    awake = Wakefulness(clock)
    clock.now += 30.0  # somebody does not read the log
    assert awake.since == 100.0
    clock.now += 0.5
    assert awake.slept(0.5) == 30.0


def test_a_worker_has_twice_the_time_until_it_is_ready_and_all_of_it_after_each_message() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = Child(1, 1, Link(ours), None, last_progress=10.0)
        assert hung_at(child, 60.0) == 130.0
        child.heed(Ready(), 20.0)
        assert hung_at(child, 60.0) == 80.0
        child.heed(Progress(1), 50.0)
        assert hung_at(child, 60.0) == 110.0
        child.forgive(7.0)
        assert hung_at(child, 60.0) == 117.0
