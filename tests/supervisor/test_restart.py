"""Workers that die, and are there again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from .conftest import Start
from .processes import HAS_PROC, children, descriptors, state
from .respawning import UNLIMITED, Holdings, respawn
from .service import ROOT, Service

needs_proc = pytest.mark.skipif(not HAS_PROC, reason="needs /proc")


def kill(pid: int, signum: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, signum)


def test_a_killed_worker_is_replaced_and_the_others_stay(start: Start) -> None:
    service = start(2)
    victim, survivor = service.wait_ready(2)
    kill(victim)
    service.wait_gone(victim)
    assert survivor in service.wait_ready(2)
    assert f"(pid {victim}) was killed by signal SIGKILL; starting it again\n" in service.log


def test_ten_kills_in_a_row_each_have_a_successor_within_a_second(start: Start) -> None:
    service = start(1)
    for _ in range(10):
        [pid] = service.wait_ready(1, patience=5.0)
        kill(pid)
        killed_at = time.monotonic()
        service.wait_gone(pid)
        service.wait_ready(1)
        assert time.monotonic() - killed_at < 1.0
    assert " again in " not in service.log


def test_a_worker_that_dies_too_often_although_it_becomes_ready_has_to_wait(start: Start) -> None:
    service = start(1, limits={"intensity": 2})
    for _ in range(3):
        [pid] = service.wait_ready(1)
        kill(pid)
        service.wait_gone(pid)
    service.wait_ready(1)
    assert service.log.count("starting it again\n") == 2
    assert service.log.count("starting it again in 0.1 s") == 1


def test_a_worker_that_dies_at_boot_is_tried_at_growing_intervals(start: Start) -> None:
    service = start(1, tell={"boot": "9"}, limits={"jitter": 0.0})
    service.wait_log("starting it again in", times=4)
    delays = [line.split(" in ")[1] for line in service.log.splitlines() if " again in " in line]
    assert delays[:4] == ["0.1 s", "0.2 s", "0.4 s", "0.8 s"]
    assert "exited with status 9" in service.log


def test_a_bug_at_boot_shows_its_traceback_once_a_try(start: Start) -> None:
    service = start(1, tell={"boot": "bug"})
    service.wait_log("starting it again")
    assert "cannot start: ZeroDivisionError: a bug" in service.log
    assert service.log.count("Traceback") == service.log.count("starting it again")


def test_a_service_that_comes_before_its_database_waits_for_it(start: Start) -> None:
    service = start(2, tell={"boot": "unavailable"})
    service.wait_log("starting it again", times=3)
    service.untell("boot")
    service.wait_ready(2)
    said = "cannot start: the database does not answer; starting it again"
    assert service.log.count(said) == service.log.count("starting it again")
    assert "Traceback" not in service.log


def test_until_one_worker_has_been_ready_only_one_is_tried(start: Start) -> None:
    service = start(3, tell={"boot": "unavailable"})
    service.wait_log("worker 1", times=6)
    assert "worker 2" not in service.log
    assert "worker 3" not in service.log


def test_a_database_that_goes_away_does_not_end_the_service(start: Start) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    service.tell("boot", "unavailable")
    for pid in pids:
        kill(pid)
    service.wait_log("the database does not answer; starting it again", times=4)
    service.untell("boot")
    service.wait_ready(2)


def test_a_configuration_error_ends_the_service_at_once_and_is_said_once(start: Start) -> None:
    service = start(3, tell={"boot": "misconfigured"})
    assert service.exit_status() == 78
    assert len(service.pids("start")) == 1
    assert service.log.count("heartbeat_interval is longer than heartbeat_timeout") == 1
    assert service.log.count("ERROR") == 1


def test_a_configuration_error_of_a_successor_drains_the_others_and_ends_the_service(start: Start) -> None:
    service = start(2)
    victim, survivor = service.wait_ready(2)
    service.tell("boot", "misconfigured")
    kill(victim)
    assert service.exit_status() == 78
    assert service.pids("drain") == [survivor]


def test_a_fork_that_fails_is_tried_again(start: Start) -> None:
    service = start(1, tell={"no-fork": ""})
    service.wait_log("worker 1 cannot be forked: [Errno 11] no more processes; starting it again", times=2)
    service.untell("no-fork")
    service.wait_ready(1)


def test_a_worker_dies_while_there_is_no_memory_for_another_and_the_service_goes_on(start: Start) -> None:
    service = start(2)
    victim, survivor = service.wait_ready(2)
    service.tell("no-page")
    kill(victim)
    service.wait_log("worker 1 cannot be forked: [Errno 12] no more memory; starting it again", times=2)
    assert service.ready_pids() == [survivor]
    service.untell("no-page")
    assert survivor in service.wait_ready(2)


def test_sigterm_to_one_worker_drains_it_and_it_is_replaced(start: Start) -> None:
    service = start(2)
    drained, other = service.wait_ready(2)
    kill(drained, signal.SIGTERM)
    service.wait_gone(drained)
    assert other in service.wait_ready(2)
    assert service.pids("drain") == [drained]
    assert f"(pid {drained}) has stopped; starting it again\n" in service.log
    assert service.events("asked") == []


def test_one_worker_that_gets_stuck_in_its_drain_is_killed_and_replaced(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""}, drain_timeout=0.3)
    stuck, other = service.wait_ready(2)
    kill(stuck, signal.SIGTERM)
    service.wait_log(f"(pid {stuck}) was killed by signal SIGKILL; starting it again\n")
    assert other in service.wait_ready(2)


def test_a_worker_that_talks_nonsense_is_killed_and_replaced(start: Start) -> None:
    service = start(1, tell={"garbage": ""})
    service.wait_log("not a message: b'garbage'")
    service.untell("garbage")
    service.wait_ready(1)
    assert "was killed by signal SIGKILL; starting it again in 0.1 s" in service.log


def wait_for_another_child(service: Service, seen: list[int]) -> None:
    service.wait_until(lambda: set(children(service.pid)) - set(seen), pause=0.0)


@needs_proc
def test_a_signal_to_a_worker_just_forked_is_not_taken_for_the_supervisors_own(start: Start) -> None:
    service = start(1, limits=UNLIMITED)
    service.wait_ready(1)
    for _ in range(100):
        seen = children(service.pid)
        for pid in seen:
            kill(pid, signal.SIGTERM)
        wait_for_another_child(service, seen)
    service.wait_ready(1)
    assert "received" not in service.log


@needs_proc
def test_respawns_leave_no_zombie_no_descriptor_and_no_thread(start: Start) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    service = start(2, limits=UNLIMITED, config={"metrics_addr": "x"})
    service.wait_ready(2)
    service.wait_until(lambda: len(children(service.pid)) == 3)  # with the exporter
    before = Holdings.of(service.pid)
    respawn(service, 30, random.Random(seed))
    after = Holdings.of(service.pid)
    assert (after.descriptors, after.threads) == (before.descriptors, 1)
    assert "Z" not in map(state, children(service.pid))


def sockets(pid: int) -> set[str]:
    return {name for name in descriptors(pid) if name.startswith("socket:")}


@needs_proc
def test_a_worker_holds_no_descriptor_of_the_supervisor_or_of_another_worker(start: Start) -> None:
    service = start(3, config={"metrics_addr": "x"})
    kill(service.wait_ready(3)[0])  # its successor is forked while all the others are there
    service.wait_until(lambda: len(service.pids("ready")) == 4)
    service.wait_until(lambda: len(children(service.pid)) == 4)  # with the exporter
    of_whom = {pid: sockets(pid) for pid in [service.pid, *children(service.pid)]}
    for pid, own in of_whom.items():
        assert own
        for other in of_whom.keys() - {pid}:
            assert not own & of_whom[other]


@needs_proc
def test_loading_the_worker_starts_no_thread() -> None:
    program = """if True:
        import os
        from workers.supervisor import _load_worker
        _load_worker()
        print(len(os.listdir("/proc/self/task")))
    """
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == "1\n"
