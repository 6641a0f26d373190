"""SIGHUP: another configuration, worker by worker."""

from __future__ import annotations

import os
import signal

import pytest

from .conftest import Start
from .processes import is_gone
from .service import Service


def max_tasks_of_started(service: Service) -> dict[int, int]:
    """By pid, with which `max_tasks` each worker was started."""
    return {event.pid: event.worker_ids[0] for event in service.events("start")}


def wait_for_all_with(service: Service, max_tasks: int, workers: int) -> list[int]:
    def all_have_it() -> bool:
        ready = service.ready_pids()
        return len(ready) == workers and {max_tasks_of_started(service)[pid] for pid in ready} == {max_tasks}

    service.wait_until(all_have_it)
    return service.ready_pids()


def test_all_workers_are_replaced_by_ones_with_the_new_configuration(start: Start) -> None:
    service = start(3)
    old = service.wait_ready(3)
    service.reload(max_tasks=7)
    service.wait_log("all workers have the new configuration")
    new = wait_for_all_with(service, 7, 3)
    assert not set(old) & set(new)
    assert sorted(service.pids("drain")) == sorted(old)
    assert service.events("asked") == [], "a worker had left something behind"


def test_a_replacement_is_ready_before_anybody_drains_and_they_drain_one_by_one(start: Start) -> None:
    service = start(3)
    service.wait_ready(3)
    service.reload()
    service.wait_log("all workers have the new configuration")
    ready = left = 0
    for line in service.log.splitlines():
        ready += " is ready" in line
        if "has stopped" in line:
            assert ready - left == 4
            left += 1
    assert left == 3


def test_the_next_drain_waits_for_the_end_of_the_one_before(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""})
    service.wait_ready(2)
    service.reload()
    service.wait_until(lambda: service.pids("drain"))
    service.signal(signal.SIGQUIT)  # a request that is answered after whatever else there was to do
    service.wait_log("received SIGQUIT")
    assert len(service.pids("drain")) == 1
    assert len(service.live_pids()) == 3
    service.untell("drain-hangs")
    service.wait_log("all workers have the new configuration")
    assert len(service.wait_ready(2)) == 2


def test_a_worker_that_dies_after_a_reload_has_a_successor_with_the_new_configuration(start: Start) -> None:
    service = start(1)
    service.wait_ready(1)
    service.reload(max_tasks=7)
    service.wait_log("all workers have the new configuration")
    [pid] = wait_for_all_with(service, 7, 1)
    os.kill(pid, signal.SIGKILL)
    service.wait_gone(pid)
    assert wait_for_all_with(service, 7, 1) != [pid]


def test_a_configuration_that_cannot_be_read_changes_nothing_and_is_said_in_one_line(start: Start) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    service.tell("config", "wrong")
    service.signal(signal.SIGHUP)
    service.wait_log("received SIGHUP; the old configuration stays: max_tasks is wrong\n")
    service.tell("config", "{")  # a bug of ours rather than a mistake of the operator
    service.signal(signal.SIGHUP)
    service.wait_log("the old configuration stays: JSONDecodeError")
    assert service.ready_pids() == pids
    assert service.log.count("ERROR") == 2
    service.reload(max_tasks=7)
    wait_for_all_with(service, 7, 2)


@pytest.mark.parametrize("told", ["misconfigured", "unavailable", "bug", "9"])
def test_a_replacement_that_cannot_start_stops_the_rollout_and_no_worker_is_lost(start: Start, told: str) -> None:
    service = start(2)
    pids = service.wait_ready(2)
    service.tell("boot-7", told)
    service.reload(max_tasks=7)
    service.wait_log("the new configuration is not rolled out, the workers that are left keep theirs")
    assert service.ready_pids() == pids
    assert service.pids("drain") == []
    assert service.log.count("not rolled out") == 1
    assert service.log.count("ERROR") == 1
    os.kill(pids[0], signal.SIGKILL)  # its successor has what it had
    service.wait_gone(pids[0])
    wait_for_all_with(service, 1000, 2)


def test_a_rollout_that_fails_half_way_leaves_as_many_workers_as_before(start: Start) -> None:
    service = start(3, tell={"drain-hangs": ""})
    old = service.wait_ready(3)
    service.reload(max_tasks=7)
    service.wait_until(lambda: service.pids("drain"))
    service.tell("boot-7", "unavailable")
    service.untell("drain-hangs")
    service.wait_log("not rolled out")
    ready = service.wait_ready(3)
    assert len(set(old) & set(ready)) == 2
    assert sorted(max_tasks_of_started(service)[pid] for pid in ready) == [7, 1000, 1000]


def test_a_replacement_that_never_becomes_ready_is_given_up(start: Start) -> None:
    service = start(2, config={"hang_timeout": 60.0})
    pids = service.wait_ready(2)
    service.tell("boot-hangs-7")
    service.reload(max_tasks=7, hang_timeout=0.3)
    service.wait_log("aborting it")
    service.wait_log("not rolled out")
    assert service.ready_pids() == pids


def test_a_second_reload_starts_over_with_the_newest_configuration(start: Start) -> None:
    service = start(2, tell={"boot-hangs-7": ""})
    old = service.wait_ready(2)
    service.reload(max_tasks=7)
    service.wait_until(lambda: 7 in max_tasks_of_started(service).values())
    service.reload(max_tasks=8)
    wait_for_all_with(service, 8, 2)
    service.wait_log("all workers have the new configuration")
    assert sorted(service.pids("drain")) == sorted(old)
    assert len(service.live_pids()) == 2


def test_many_reloads_at_once_end_with_the_newest_configuration_everywhere(start: Start) -> None:
    service = start(3)
    service.wait_ready(3)
    for max_tasks in range(1, 20):
        service.reload(max_tasks=max_tasks)
    wait_for_all_with(service, 19, 3)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


def test_a_service_that_was_never_up_takes_the_new_configuration_at_once(start: Start) -> None:
    service = start(2, tell={"boot-1000": "unavailable", "boot-hangs-9": ""}, limits={"first_delay": 1000.0})
    service.wait_log("starting it again in")
    service.reload(max_tasks=9)
    service.wait_until(lambda: 9 in max_tasks_of_started(service).values())
    service.reload(max_tasks=7)
    wait_for_all_with(service, 7, 2)
    assert "starting it again" not in service.log.partition("SIGHUP")[2]


def test_a_worker_that_dies_during_a_rollout_is_replaced_as_always(start: Start) -> None:
    service = start(2, tell={"boot-hangs-7": ""})
    victim, _ = service.wait_ready(2)
    service.reload(max_tasks=7)
    service.wait_until(lambda: 7 in max_tasks_of_started(service).values())
    os.kill(victim, signal.SIGKILL)
    service.wait_gone(victim)
    service.wait_ready(2)
    service.untell("boot-hangs-7")
    wait_for_all_with(service, 7, 2)
    service.wait_until(lambda: service.reclaimed() == {victim})


def test_one_worker_less_in_a_rollout_is_one_less_also_when_it_was_the_last_old_one_and_down(start: Start) -> None:
    service = start(2, tell={"drain-hangs": ""})
    service.wait_ready(2)
    service.reload(max_tasks=7)
    service.wait_until(lambda: service.pids("drain"))
    service.tell("boot-hangs-7")
    service.tell("boot-1000", "unavailable")
    service.untell("drain-hangs")
    service.wait_until(lambda: list(max_tasks_of_started(service).values()).count(7) == 2)
    [old] = [pid for pid in service.ready_pids() if max_tasks_of_started(service)[pid] == 1000]
    os.kill(old, signal.SIGKILL)
    service.wait_log("worker 2 (pid", times=3)
    service.wait_log("cannot start: the database does not answer")
    service.signal(signal.SIGTTOU)
    service.wait_log("received SIGTTOU; worker 2 leaves")
    service.untell("boot-hangs-7")
    service.wait_log("all workers have the new configuration")
    service.signal(signal.SIGQUIT)
    service.wait_log("received SIGQUIT; 1/1 workers")
    wait_for_all_with(service, 7, 1)


@pytest.mark.parametrize("told", ["boot-hangs-7", "drain-hangs"])
def test_a_service_can_be_ended_in_the_midst_of_a_rollout(start: Start, told: str) -> None:
    service = start(2, tell={told: ""})
    service.wait_ready(2)
    service.reload(max_tasks=7)
    service.wait_until(lambda: len(service.started_pids()) == 3 and 7 in max_tasks_of_started(service).values())
    service.signal(signal.SIGTERM)
    service.wait_log("received SIGTERM")
    service.untell(told)
    assert service.exit_status() == 0
    assert all(map(is_gone, service.started_pids()))
