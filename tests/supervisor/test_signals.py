"""What operators and their tools send, besides the request to end."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from .conftest import Start
from .processes import HAS_PROC, is_gone
from .service import Service

needs_proc = pytest.mark.skipif(not HAS_PROC, reason="needs /proc")


def test_quit_shows_what_every_worker_is_at_and_all_goes_on(start: Start) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    service.signal(signal.SIGQUIT)
    service.wait_log("task 7: replaying event 3 of 9; supervisor/fake_service.py", times=2)
    service.wait_log("thread MainThread: ", times=2)
    assert "received SIGQUIT; 2/2 workers, 0 active" in service.log
    for pid in pids:
        assert f"(pid {pid}): ready, 0 tasks, last heard of" in service.log
    assert "worker_process.py:" in service.log
    assert service.ready_pids() == pids


def test_quit_shows_a_worker_that_starts_and_one_that_has_to_wait(start: Start) -> None:
    service = start(2, tell={"boot-hangs": ""})
    service.wait_until(lambda: service.pids("start"))
    service.signal(signal.SIGQUIT)
    service.wait_log(": starting, 0 tasks")
    service.wait_log("worker 2: to be started")
    service.wait_log("thread MainThread: ")


@needs_proc
def test_the_stacks_of_a_worker_that_cannot_answer_come_by_force(start: Start) -> None:
    service = start(2)
    still, other = service.wait_ready(2)
    service.tell(f"stalls-{still}")
    service.wait_until(lambda: silence(service, still) >= 5, pause=0.5)
    service.wait_log(f"(pid {still}) does not answer; it is made to write its stacks by signal")
    # Written by a handler of signals, without regard to lines that others write at the same time.
    service.wait_log("stand_still")
    service.untell(f"stalls-{still}")
    assert service.ready_pids() == [still, other]


def silence(service: Service, pid: int) -> float:
    """Seconds since the supervisor has heard of this worker, as it says when it is asked."""
    service.signal(signal.SIGQUIT)
    service.wait_log(f"(pid {pid}): ready")
    last = [line for line in service.log.splitlines() if f"(pid {pid}): ready" in line]
    return float(last[-1].split("last heard of ")[1].split()[0])


def test_ttin_adds_a_worker_and_ttou_drains_one(start: Start) -> None:
    service = start(1)
    [first] = service.wait_ready(1)
    for size in (2, 3):
        service.signal(signal.SIGTTIN)
        service.wait_ready(size)
    second, third = service.wait_ready(3)[1:]
    service.signal(signal.SIGTTOU)
    service.wait_gone(third)
    assert service.wait_ready(2) == [first, second]
    assert service.pids("drain") == [third]
    assert service.events("asked") == []


def test_there_is_always_one_worker(start: Start) -> None:
    service = start(2)
    first, second = service.wait_ready(2)
    service.signal(signal.SIGTTOU)
    service.wait_log("received SIGTTOU; worker 2 leaves")
    service.signal(signal.SIGTTOU)
    service.wait_log("received SIGTTOU; one worker is the least")
    service.wait_gone(second)
    assert service.wait_ready(1) == [first]


def test_a_worker_that_was_sent_away_and_does_not_go_is_killed_and_not_replaced(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""}, drain_timeout=0.3)
    _, second = service.wait_ready(2)
    service.signal(signal.SIGTTOU)
    service.wait_log("it is not started again")
    assert is_gone(second)
    assert len(service.started_pids()) == 2


def test_ttou_prefers_a_worker_that_does_nothing(start: Start) -> None:
    service = start(2, limits={"intensity": 0, "first_delay": 1000.0})
    first, second = service.wait_ready(2)
    os.kill(first, signal.SIGKILL)
    service.wait_log(f"(pid {first}) was killed")
    service.signal(signal.SIGTTOU)
    service.wait_log("received SIGTTOU; worker 1 leaves")
    assert service.live_pids() == [second]


def test_usr1_without_a_log_file_changes_nothing(start: Start) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    os.killpg(service.pid, signal.SIGUSR1)
    service.wait_log("received SIGUSR1; there is no log_file to reopen")
    assert service.ready_pids() == pids


def test_usr1_makes_all_processes_write_to_the_new_log_file(start: Start, tmp_path: Path) -> None:
    log, moved = tmp_path / "durable.log", tmp_path / "durable.log.1"
    service = start(2, config={"log_file": str(log), "log_format": "human", "metrics_addr": "x"})
    service.wait_until(lambda: log.exists() and log.read_text().count(" is ready") == 2)
    log.rename(moved)
    service.signal(signal.SIGUSR1)
    service.wait_until(lambda: log.exists() and "the log was reopened" in log.read_text())
    service.signal(signal.SIGQUIT)
    service.wait_until(lambda: log.read_text().count("thread MainThread: ") == 2)
    if HAS_PROC:
        everybody = [
            service.pid,
            *map(int, Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()),
        ]
        assert len(everybody) == 4
        service.wait_until(lambda: all(os.readlink(f"/proc/{pid}/fd/2") == str(log) for pid in everybody))
    assert "received SIGQUIT" not in moved.read_text()
    assert service.log == ""


def test_a_log_file_that_cannot_be_opened_anew_is_said_where_it_was(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    service = start(1, config={"log_file": str(folder / "log")})
    service.wait_until(lambda: (folder / "log").exists() and " is ready" in (folder / "log").read_text())
    folder.rename(tmp_path / "moved")
    service.signal(signal.SIGUSR1)
    service.wait_until(lambda: "cannot open" in (tmp_path / "moved" / "log").read_text())
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


HARMLESS = [signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("signum", HARMLESS, ids=lambda signum: signum.name)
def test_what_a_terminal_or_a_tool_sends_to_the_whole_group_kills_no_worker(
    start: Start, signum: signal.Signals
) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    for pid in pids:
        os.kill(pid, signum)
    service.signal(signal.SIGUSR2)  # means nothing to the supervisor
    service.signal(signal.SIGQUIT)
    service.wait_log("thread MainThread: ", times=2)
    assert service.ready_pids() == pids


def test_any_signals_at_any_time_leave_a_service_that_works_and_ends_well(start: Start) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    service = start(2)
    service.wait_until(lambda: service.pids("start"))  # and none is ready
    for _ in range(300):
        service.signal(chance.choice(HARMLESS))
    service.reload(max_tasks=7)
    service.wait_until(lambda: all_have(service, max_tasks=7))
    for _ in range(100):
        service.signal(chance.choice(HARMLESS))
    service.signal(signal.SIGTERM)
    for _ in range(100):
        if service.process.poll() is None:
            service.signal(chance.choice(HARMLESS))
    assert service.exit_status() == 0
    assert all(map(is_gone, service.started_pids()))


def all_have(service: Service, max_tasks: int) -> bool:
    """All workers that there are, are ready and have this in their configuration."""
    having = {event.pid for event in service.events("start") if event.worker_ids == [max_tasks]}
    return set() != set(service.live_pids()) == set(service.ready_pids()) <= having


def test_signals_while_it_drains_do_not_keep_it_from_ending(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""})
    service.wait_ready(2)
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: len(service.pids("drain")) == 2)
    for signum in HARMLESS:
        service.signal(signum)
    for name in ("SIGHUP", "SIGTTIN", "SIGTTOU"):
        service.wait_log(f"received {name}; too late, the service stops")
    service.untell("drain-hangs")
    assert service.exit_status() == 0
    assert len(service.started_pids()) == 2
