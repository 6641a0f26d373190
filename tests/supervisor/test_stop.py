"""How the service ends: by request, by force, and by the death of the supervisor."""

from __future__ import annotations

import os
import signal
import time

import pytest

from workers.supervisor import SAME_REQUEST

from .conftest import Start
from .processes import HAS_PROC, is_gone

ENDINGS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("signum", ENDINGS)
def test_workers_drain_and_the_service_ends_with_0(start: Start, signum: signal.Signals) -> None:
    service = start(3)
    pids = service.wait_ready(3)
    service.signal(signum)
    assert service.exit_status() == 0
    assert sorted(service.pids("drain")) == sorted(pids)
    assert all(map(is_gone, pids))


@pytest.mark.parametrize("signum", ENDINGS)
def test_a_signal_to_the_whole_group_is_a_drain_too(start: Start, signum: signal.Signals) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    os.killpg(service.process.pid, signum)
    assert service.exit_status() == 0
    assert sorted(service.pids("drain")) == sorted(pids)


def test_who_has_not_drained_by_the_deadline_is_killed_and_the_status_is_1(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""}, drain_timeout=0.5)
    pids = service.wait_ready(2)
    service.signal(signal.SIGTERM)
    asked_at = time.monotonic()
    assert service.exit_status() == 1
    assert 0.4 < time.monotonic() - asked_at < 3
    assert all(map(is_gone, pids))
    assert service.log.count("which has not drained") == 2


def test_a_worker_that_stands_still_is_killed_at_the_deadline(start: Start) -> None:
    service = start(2, drain_timeout=0.5)
    still, other = service.wait_ready(2)
    os.kill(still, signal.SIGSTOP)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 1
    assert service.pids("drain") == [other]


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_kills_at_once(start: Start, first: signal.Signals, second: signal.Signals) -> None:
    service = start(2, tell={"drain-hangs": ""})
    pids = service.wait_ready(2)
    service.signal(first)
    service.wait_log(f"received {first.name}")
    time.sleep(SAME_REQUEST)
    service.signal(second)
    assert service.exit_status() == 1
    assert f"received {second.name} again" in service.log
    assert all(map(is_gone, pids))


def test_the_same_request_by_two_ways_is_one(start: Start) -> None:
    service = start(2)
    service.wait_ready(2)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        service.signal(signum)
    assert service.exit_status() == 0
    assert "again" not in service.log


def test_a_drain_that_fails_makes_the_status_1(start: Start) -> None:
    service = start(2, tell={"drain-fails": "unavailable"})
    service.wait_ready(2)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 1
    assert "failed: the database does not answer" in service.log
    assert "have to wait for the heartbeat timeout" in service.log


@pytest.mark.parametrize("told", [{"boot-hangs": ""}, {"boot": "unavailable"}])
def test_a_service_that_is_not_up_yet_ends_at_once(start: Start, told: dict[str, str]) -> None:
    service = start(2, tell=told)
    service.wait_until(lambda: service.pids("start"))
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


def test_nobody_is_started_again_while_the_service_ends(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""})
    victim, _ = service.wait_ready(2)
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: len(service.pids("drain")) == 2)
    os.kill(victim, signal.SIGKILL)
    service.wait_log(f"(pid {victim}) was killed")
    service.untell("drain-hangs")
    assert service.exit_status() == 1
    assert len(service.pids("start")) == 2


#: The kernel's way, where there is one, and the portable one, which is the end of the link.
WAYS = [{}, {"no-parent-death-signal": ""}]


@pytest.mark.parametrize("told", WAYS, ids=["kernel", "link"])
def test_no_worker_outlives_a_killed_supervisor(start: Start, told: dict[str, str]) -> None:
    service = start(3, tell=told)
    os.kill(service.wait_ready(3)[0], signal.SIGKILL)
    service.wait_until(lambda: len(service.pids("ready")) == 4)
    pids = service.wait_ready(3)
    service.signal(signal.SIGKILL)
    service.process.wait()
    service.wait_until(lambda: all(map(is_gone, pids)), patience=2.0)


@pytest.mark.parametrize("told", WAYS, ids=["kernel", "link"])
def test_no_worker_that_boots_or_drains_outlives_it_either(start: Start, told: dict[str, str]) -> None:
    service = start(2, tell={"drain-hangs": "", **told})
    draining, booting = service.wait_ready(2)
    service.tell("boot-hangs")
    os.kill(draining, signal.SIGTERM)
    os.kill(booting, signal.SIGKILL)
    service.wait_until(lambda: len(service.started_pids()) == 3 and service.pids("drain"))
    pids = service.live_pids()
    assert len(pids) == 2
    service.signal(signal.SIGKILL)
    service.process.wait()
    service.wait_until(lambda: all(map(is_gone, pids)), patience=2.0)


@pytest.mark.skipif(not HAS_PROC, reason="needs the parent death signal of Linux")
def test_a_worker_that_stands_still_does_not_outlive_a_killed_supervisor(start: Start) -> None:
    service = start(1)
    [pid] = service.wait_ready(1)
    os.kill(pid, signal.SIGSTOP)
    service.signal(signal.SIGKILL)
    service.process.wait()
    service.wait_until(lambda: is_gone(pid), patience=2.0)
