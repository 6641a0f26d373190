"""`durable supervise` on the embedded database, whose server dies under it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.engine.database import Database, wait_until
from tests.engine.service import Service
from tests.supervisor.processes import children, is_gone

STEPS = 15

StartService = Callable[[], "EmbeddedService"]


class EmbeddedService(Service):
    """One worker, and no database URL."""

    def __init__(self, database: Database, cache_folder: Path, folder: Path, log: Path) -> None:
        super().__init__(database, cache_folder, log, 1, {})
        self._environment.pop("DURABLE_DATABASE_URL")
        self._environment["XDG_DATA_HOME"] = str(folder)

    @property
    def keeper(self) -> int:
        """The pid of the process that was started last."""

        def started() -> list[str]:
            return re.findall(r"started keeper \(pid (\d+)\)", self.log)

        return int(wait_until(started, "a keeper")[-1])


@pytest.fixture
def server(tmp_path: Path, shared_folder: Path) -> Iterator[EmbeddedServer]:
    """The server of a user whose data are in `tmp_path`. It runs, and has the schema."""
    server = EmbeddedServer(tmp_path / "durable" / "postgres", start_timeout=60)
    server.data_folder.mkdir(parents=True)
    subprocess.run(["cp", "-a", shared_folder / "cluster", server.data_folder], check=True)
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        migrate(connection)
    yield server
    server.stop("immediate")


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[Database]:
    database = Database(server.url)
    yield database
    database.close()


@pytest.fixture
def start(database: Database, cache_folder: Path, tmp_path: Path) -> Iterator[StartService]:
    """Starts a service, which is stopped after the test."""
    with ExitStack() as services:
        numbers = iter("12")

        def start() -> EmbeddedService:
            service = EmbeddedService(database, cache_folder, tmp_path, tmp_path / f"service-{next(numbers)}.log")
            services.callback(service.stop)
            service.start()
            return service

        yield start


def kill(server: EmbeddedServer, *, with_children: bool = False) -> int:
    """Kill the postmaster, and perhaps all processes that it has; returns what its pid was."""
    pid = server.pid
    assert pid is not None
    others = children(pid) if with_children else []
    for each in (pid, *others):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    wait_until(lambda: is_gone(pid), "the end of the postmaster")
    return pid


def wait_for_another(server: EmbeddedServer, database: Database, dead: int) -> None:
    """Nobody but the services may start it: this only looks, until it answers."""
    wait_until(lambda: server.pid not in (None, dead), "another server")
    assert database.query("SELECT 1") == [(1,)]


def test_a_task_goes_on_when_the_server_was_killed(
    server: EmbeddedServer, database: Database, start: StartService
) -> None:
    service = start()
    task = database.launch("sleep-n-go", {"count": STEPS, "seconds": 0.15})
    for step, with_children in ((3, False), (8, True)):
        wait_until(lambda n=step: len(database.log(task).splitlines()) >= n, f"step {step}")  # type: ignore[misc]
        wait_for_another(server, database, kill(server, with_children=with_children))
    assert database.wait_for_end(task) == "complete"
    assert database.log(task).splitlines() == [f"{n} of {STEPS}" for n in range(1, STEPS + 1)]
    database.assert_dense(task)
    assert service.log.count("the embedded PostgreSQL had died; it was started again") == 2

    keeper = service.keeper
    assert service.terminate() == 0
    assert is_gone(keeper)
    assert not server.is_running
    # It is there for the drain, and gone before the server is stopped.
    assert re.search(r"worker 1 \(pid \d+\) has stopped.*keeper \(pid \d+\) has stopped", service.log, re.DOTALL)


def test_the_keeper_is_replaced_when_it_dies(server: EmbeddedServer, database: Database, start: StartService) -> None:
    service = start()
    first = service.keeper
    os.kill(first, signal.SIGTERM)  # which means nothing to it
    wait_for_another(server, database, kill(server))
    assert service.keeper == first
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: service.keeper != first, "another keeper")
    assert "was killed by signal SIGKILL; starting it again" in service.log
    wait_for_another(server, database, kill(server))
    task = database.launch("sleep-n-go", {"count": 1, "seconds": 0})
    assert database.wait_for_end(task) == "complete"
    assert service.terminate() == 0


def test_two_services_share_one_server_that_either_of_them_starts_again(
    server: EmbeddedServer, database: Database, start: StartService
) -> None:
    first, second = start(), start()
    starts = server_starts(server)
    wait_for_another(server, database, kill(server))
    tasks = [database.launch("sleep-n-go", {"count": 2, "seconds": 0}) for _ in range(4)]
    assert {database.wait_for_end(task) for task in tasks} == {"complete"}
    assert server_starts(server) == starts + 1

    assert first.terminate() == 0
    wait_for_another(server, database, kill(server))
    assert second.terminate() == 0
    assert not server.is_running


def server_starts(server: EmbeddedServer) -> int:
    return (server.data_folder / "postgres.log").read_text().count("starting PostgreSQL")
