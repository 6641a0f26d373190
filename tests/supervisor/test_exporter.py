"""The exporter beside the workers: kept alive, told what there is to know, and never in the way."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import Start
from .processes import HAS_PROC, is_gone, processor_seconds
from .service import Service
from .test_stop import WAYS

ON: dict[str, Any] = {"metrics_addr": "127.0.0.1:0"}


def exporters(service: Service) -> list[int]:
    """The pids of all that there ever were."""
    return [int(pid) for pid in re.findall(r"started exporter \(pid (\d+)\)", service.log)]


def wait_for_exporter(service: Service, but: int = 0) -> int:
    def runs() -> bool:
        pids = exporters(service)
        return bool(pids) and pids[-1] != but and pids[-1] in service.pids("exporter")

    service.wait_until(runs)
    return exporters(service)[-1]


def test_it_is_told_which_workers_are_up_and_how_often_each_was_started_again(start: Start) -> None:
    service = start(2, config=ON)
    victim, _ = service.wait_ready(2)
    service.wait_until(lambda: service.fleet() == [[1, 1], [0, 0], [1, 2], True])
    service.tell("boot-hangs")
    os.kill(victim, signal.SIGKILL)
    service.wait_until(lambda: service.fleet() == [[0, 1], [1, 0], [1, 2], True])
    service.untell("boot-hangs")
    service.wait_until(lambda: service.fleet() == [[1, 1], [1, 0], [1, 2], True])
    service.signal(signal.SIGTTOU)
    service.wait_until(lambda: service.fleet() == [[1], [1], [1], True])


def test_the_service_is_not_ready_before_all_workers_have_been_and_not_when_it_stops(start: Start) -> None:
    service = start(2, config=ON, tell={"boot-hangs": "", "drain-hangs": ""})
    service.wait_until(lambda: service.fleet() == [[0, 0], [0, 0], [1, 2], False])
    service.untell("boot-hangs")
    service.wait_until(lambda: service.fleet() == [[1, 1], [0, 0], [1, 2], True])
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: service.fleet() == [[0, 0], [0, 0], [1, 2], False])
    service.untell("drain-hangs")
    assert service.exit_status() == 0


@pytest.mark.skipif(not HAS_PROC, reason="needs the processor time of another process")
def test_one_that_ends_while_the_service_stops_does_not_keep_the_supervisor_awake(start: Start) -> None:
    """A SIGTERM to everybody ends it at once, and the workers may drain for long."""
    service = start(1, config=ON, tell={"drain-hangs": ""})
    service.wait_ready(1)
    exporter = wait_for_exporter(service)
    service.signal(signal.SIGTERM)
    service.wait_until(lambda: service.pids("drain"))
    os.kill(exporter, signal.SIGKILL)
    service.wait_log(f"exporter (pid {exporter}) was killed")
    before = processor_seconds(service.pid)
    time.sleep(1.0)
    assert processor_seconds(service.pid) - before < 0.2
    service.untell("drain-hangs")
    assert service.exit_status() == 0


def test_one_that_dies_is_started_again_and_no_worker_notices(start: Start) -> None:
    service = start(2, config=ON)
    pids = service.wait_ready(2)
    first = wait_for_exporter(service)
    os.kill(first, signal.SIGKILL)
    wait_for_exporter(service, but=first)
    service.wait_until(lambda: service.fleet() == [[1, 1], [0, 0], [1, 2], True])
    assert service.ready_pids() == pids
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


@pytest.mark.parametrize("status", ["1", "78"])
def test_one_that_cannot_start_keeps_nobody_from_being_ready_or_ending_well(start: Start, status: str) -> None:
    service = start(2, config=ON, tell={"exporter-fails": status})
    service.wait_log("exited with status " + status)
    service.wait_ready(2)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


def test_one_whose_configuration_is_wrong_waits_for_another(start: Start) -> None:
    service = start(1, config=ON, tell={"exporter-fails": "78"})
    service.wait_log("exited with status 78; there are no metrics until the configuration is reloaded")
    for size in range(1, 4):  # so that there was time for another try
        service.wait_ready(size)
        service.signal(signal.SIGTTIN)
    service.wait_ready(4)
    assert len(exporters(service)) == 1
    service.untell("exporter-fails")
    service.reload()
    service.wait_until(lambda: service.fleet()[:1] == [[1] * 4])


def test_a_reload_can_turn_it_on_and_off(start: Start) -> None:
    service = start(1)
    service.wait_ready(1)
    assert exporters(service) == []
    service.reload(**ON)
    pid = wait_for_exporter(service)
    service.wait_log("all workers have the new configuration")
    service.reload(metrics_addr="off")
    service.wait_log("all workers have the new configuration", times=2)
    assert is_gone(pid)
    assert len(exporters(service)) == 1


def test_it_ends_with_the_service_and_its_folder_too(start: Start, tmp_path: Path) -> None:
    service = start(1, config=ON, environ={"RUNTIME_DIRECTORY": str(tmp_path)})
    pid = wait_for_exporter(service)
    service.wait_ready(1)
    assert service.events("exporter")[0].worker_ids[1] == 1
    [folder] = tmp_path.glob("durable-*")
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0
    assert is_gone(pid)
    assert not folder.exists()


def test_one_that_stands_still_does_not_keep_the_service_from_ending(start: Start) -> None:
    service = start(1, config=ON)
    pid = wait_for_exporter(service)
    service.wait_ready(1)
    os.kill(pid, signal.SIGSTOP)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0
    assert is_gone(pid)


@pytest.mark.parametrize("told", WAYS, ids=["kernel", "link"])
def test_it_does_not_outlive_a_killed_supervisor(start: Start, told: dict[str, str]) -> None:
    service = start(2, config=ON, tell=told)
    pids = [*service.wait_ready(2), wait_for_exporter(service)]
    service.signal(signal.SIGKILL)
    service.process.wait()
    service.wait_until(lambda: all(map(is_gone, pids)), patience=2.0)
    if HAS_PROC:
        assert group(service.pid) == []


def group(leader: int) -> list[int]:
    """Processes of this process group that run, whoever their parents are."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pgrp) == leader and state not in "ZX":
            found.append(int(stat.parent.name))
    return found
