"""What systemd hears, on a real socket."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from workers.notify_socket import NotifySocket

from .conftest import Start
from .service import PATIENCE, Service


class Manager:
    """Listens like systemd; knows all it has heard, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(0.05)
        self._heard: list[str] = []
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._is_closed.is_set():
            with suppress(TimeoutError):
                self._heard.append(self._socket.recv(4096).decode())

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join()
        self._socket.close()

    def heard(self) -> list[str]:
        """One text for each message."""
        return list(self._heard)

    def wait_for(self, pattern: str, times: int = 1, patience: float = PATIENCE) -> list[str]:
        """All messages up to the one in which the pattern was found for the last time that was waited for."""
        until = time.monotonic() + patience
        while len(found := [n for n, text in enumerate(self.heard()) if re.search(pattern, text)]) < times:
            assert time.monotonic() < until, (pattern, self.heard())
            time.sleep(0.01)
        return self.heard()[: found[times - 1] + 1]

    def environ(self, watchdog: float | None = None) -> dict[str, str]:
        environ = {"NOTIFY_SOCKET": self.address}
        return environ if watchdog is None else {**environ, "WATCHDOG_USEC": str(int(watchdog * 1e6))}


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    path = str(tmp_path / "notify")
    manager = Manager(f"@{path}" if request.param == "abstract" else path)
    yield manager
    manager.close()


@pytest.fixture
def at_path(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def kinds(heard: list[str]) -> list[str]:
    """The messages without those that come at any time, by their first names."""
    names = [text.partition("=")[0] for text in heard]
    return [name for name in names if name not in ("STATUS", "WATCHDOG", "EXTEND_TIMEOUT_USEC")]


def test_the_life_of_a_service(start: Start, manager: Manager) -> None:
    service = start(2, environ=manager.environ(watchdog=1.0))
    manager.wait_for(rf"^READY=1\nMAINPID={service.pid}$")
    manager.wait_for("^STATUS=2/2 workers, 0 active$")
    manager.wait_for("^WATCHDOG=1$", times=3)
    before = time.monotonic_ns() // 1000
    service.reload(max_tasks=7)
    reloading = manager.wait_for(r"^RELOADING=1\nMONOTONIC_USEC=\d+$")[-1]
    assert before <= int(reloading.rpartition("=")[2]) <= time.monotonic_ns() // 1000
    manager.wait_for("^READY=1$")
    service.signal(signal.SIGTERM)
    manager.wait_for("^STOPPING=1$")
    assert service.exit_status() == 0
    assert kinds(manager.heard()) == ["READY", "RELOADING", "READY", "STOPPING"]


def test_a_service_is_ready_when_all_its_workers_are_and_says_until_then_what_is_missing(
    start: Start, at_path: Manager
) -> None:
    service = start(2, tell={"boot": "unavailable"}, environ=at_path.environ())
    at_path.wait_for(r"^STATUS=0/2 workers, 0 active, worker 1 \(pid \d+\) cannot start: the database does not answer$")
    service.tell("boot-hangs-1000")
    service.untell("boot")
    service.wait_until(lambda: len(service.pids("start")) >= 3)
    assert "READY" not in kinds(at_path.heard())
    service.untell("boot-hangs-1000")
    at_path.wait_for("^READY=1")
    assert len(service.ready_pids()) == 2


def test_a_service_that_cannot_start_is_never_ready(start: Start, at_path: Manager) -> None:
    service = start(2, tell={"boot": "misconfigured"}, environ=at_path.environ())
    assert service.exit_status() == 78
    assert kinds(at_path.heard()) == ["STOPPING"]


def test_a_worker_that_is_replaced_does_not_make_the_service_unready(start: Start, at_path: Manager) -> None:
    service = start(2, environ=at_path.environ())
    at_path.wait_for("^READY=1")
    os.kill(service.wait_ready(2)[0], signal.SIGKILL)
    service.wait_until(lambda: len(service.started_pids()) == 3 and len(service.ready_pids()) == 2)
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0
    assert kinds(at_path.heard()) == ["READY", "STOPPING"]


def test_a_reload_that_fails_ends_too_and_the_status_says_so(start: Start, at_path: Manager) -> None:
    service = start(2, environ=at_path.environ())
    at_path.wait_for("^READY=1")
    service.tell("boot-7", "unavailable")
    service.reload(max_tasks=7)
    at_path.wait_for("^READY=1$")
    at_path.wait_for("^STATUS=2/2 workers, 0 active, the new configuration is not rolled out: worker 3")
    service.tell("config", "wrong")
    service.signal(signal.SIGHUP)
    at_path.wait_for("^READY=1$", times=2)
    at_path.wait_for("^STATUS=2/2 workers, 0 active, the configuration could not be reloaded$")
    assert kinds(at_path.heard()) == ["READY", "RELOADING", "READY", "RELOADING", "READY"]


def test_the_watchdog_goes_hungry_when_all_workers_stand_still_and_is_fed_when_one_does_not(
    start: Start, at_path: Manager
) -> None:
    service = start(2, environ=at_path.environ(watchdog=1.0))
    first, second = service.wait_ready(2)
    os.kill(first, signal.SIGSTOP)
    service.wait_until(lambda: "last heard of 6" in ask(service), pause=0.3)
    fed = at_path.heard().count("WATCHDOG=1")
    at_path.wait_for("^WATCHDOG=1$", times=fed + 2)
    os.kill(second, signal.SIGSTOP)
    service.wait_until(lambda: len(re.findall(r"last heard of ([6-9]|1\d)\.", ask(service))) == 2, pause=0.3)
    fed = at_path.heard().count("WATCHDOG=1")
    service.wait_until(lambda: len(re.findall(r"last heard of 1\d\.", ask(service))) == 2, pause=0.3)
    assert at_path.heard().count("WATCHDOG=1") == fed
    os.kill(first, signal.SIGCONT)
    at_path.wait_for("^WATCHDOG=1$", times=fed + 1)


def ask(service: Service) -> str:
    """What the supervisor says now of its workers."""
    before = service.log.count("received SIGQUIT")
    service.signal(signal.SIGQUIT)
    service.wait_until(lambda: service.log.count("received SIGQUIT") > before)
    service.wait_until(lambda: service.log.rpartition("received SIGQUIT")[2].count("last heard of") >= 2)
    return service.log.rpartition("received SIGQUIT")[2]


def test_a_drain_that_takes_long_asks_for_more_time_again_and_again(start: Start, at_path: Manager) -> None:
    service = start(1, tell={"drain-hangs": ""}, drain_timeout=60.0, environ=at_path.environ())
    service.wait_ready(1)
    service.signal(signal.SIGTERM)
    said = at_path.wait_for(r"^EXTEND_TIMEOUT_USEC=\d+$", times=3)
    times = [int(text.partition("=")[2]) / 1e6 for text in said if text.startswith("EXTEND")]
    assert 60 < times[0] <= 65
    assert times[2] < times[0]
    service.untell("drain-hangs")
    assert service.exit_status() == 0


def test_the_status_is_told_when_it_changes_and_at_most_once_a_second(start: Start, at_path: Manager) -> None:
    service = start(1, environ=at_path.environ())
    service.wait_ready(1)
    began = time.monotonic()
    for size in range(2, 6):
        service.signal(signal.SIGTTIN)
        service.wait_until(lambda size=size: len(service.started_pids()) == size)  # type: ignore[misc]
    at_path.wait_for("^STATUS=5/5 workers")
    told = [text for text in at_path.heard() if text.startswith("STATUS=")]
    assert len(told) <= 2 + time.monotonic() - began
    assert all(one != other for one, other in pairwise(told))


def test_children_do_not_know_the_socket(start: Start, at_path: Manager) -> None:
    service = start(1, environ=at_path.environ(watchdog=10.0), config={"metrics_addr": "x"})
    service.wait_until(lambda: service.events("exporter"))
    assert service.events("exporter")[0].worker_ids[0] == 0


def test_a_manager_that_is_gone_is_no_reason_to_end(start: Start, at_path: Manager) -> None:
    service = start(1, environ=at_path.environ())
    at_path.wait_for("^READY=1")
    at_path.close()
    os.unlink(at_path.address)
    service.signal(signal.SIGTTIN)
    service.wait_ready(2)
    service.wait_log("cannot notify the service manager")
    service.signal(signal.SIGTERM)
    assert service.exit_status() == 0


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_is_named(environ: dict[str, str], watchdog: float | None) -> None:
    environ = {"NOTIFY_SOCKET": "/nowhere", **environ}
    assert NotifySocket.from_environment(environ).watchdog == watchdog
    assert environ == {}


def test_without_a_manager_nothing_is_sent() -> None:
    socket = NotifySocket.from_environment({"WATCHDOG_USEC": "3000000"})
    socket.send("READY=1")
    assert not socket.is_open
    assert socket.watchdog is None
