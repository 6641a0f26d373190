"""The disk of PostgreSQL is full. First it refuses to write, then its log of transactions finds no room either and it
dies, again and again. Tasks wait for it, and once there is room all of them end as if nothing had been.

Everything of PostgreSQL lies on one small disk, as in many an installation. The service runs it, so that the service
also has to bring it back.
"""

from __future__ import annotations

import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

import durable
from durable.embedded import EmbeddedServer
from durable.errors import TryAgain
from durable.store.migrations import migrate
from tests.chaos.oracle import judge
from tests.chaos.witness import Witnesses, witnesses
from tests.engine.database import Database, wait_until, workflow
from tests.engine.service import Service
from tests.engine.small_disk import as_seen_by, fill, on_a_small_disk, skip_unless_mountable
from tests.proof import seed
from workers.restraint import FORGET_AFTER

pytestmark = [pytest.mark.chaos(minutes=1), pytest.mark.timeout(300)]

TASKS = 300
#: Seconds of refusal before it is made to die.
REFUSING = 20
WORKERS = 2
REFUSES = "the database cannot write"
_SETTINGS = {
    "heartbeat_timeout": "6", "heartbeat_interval": "1", "poll_interval": "0.2", "suspend_timeout": "0.5",
    "egress_allow": "127.0.0.1", "metrics_addr": "127.0.0.1:0",
}  # fmt: skip
#: With the data folder of a cluster on the disk.
_FURNISHED = 'cp -a "$0/." "$1" && shift && exec "$@"'


class ServiceWithFullDisk(Service):
    """Runs the PostgreSQL of `server`, of which the data are on a disk that only the service sees."""

    def __init__(
        self, database: Database, cache_folder: Path, home: Path, server: EmbeddedServer, template: Path, log: Path
    ) -> None:
        super().__init__(database, cache_folder, log, WORKERS, _SETTINGS)
        self._cluster = server.data_folder / "cluster"
        self._cluster.mkdir(parents=True)
        furnished = ["sh", "-c", _FURNISHED, str(template), str(self._cluster)]
        self._command = [*on_a_small_disk(self._cluster, "160m"), *furnished, *self._command]
        self._environment.pop("DURABLE_DATABASE_URL")
        self._environment["XDG_DATA_HOME"] = str(home)

    @property
    def ballast(self) -> Path:
        return as_seen_by(self.process.pid, self._cluster) / "ballast"


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The data of a server that was stopped, with the schema."""
    skip_unless_mountable(tmp_path)
    made = EmbeddedServer(tmp_path / "template", fsync=False)
    with psycopg.connect(made.ensure_running(), autocommit=True) as connection:
        migrate(connection)
    made.stop()
    return made.data_folder / "cluster"


@pytest.fixture
def home() -> Iterator[Path]:
    """Short enough for a socket to be in it: the URL has to be known before there is a server."""
    with tempfile.TemporaryDirectory(prefix="durable-") as folder:
        yield Path(folder)


@pytest.fixture
def server(home: Path) -> EmbeddedServer:
    return EmbeddedServer(home / "durable" / "postgres")


@pytest.fixture
def database(server: EmbeddedServer) -> Iterator[Database]:
    database = Database(server.url)
    yield database
    database.close()


@pytest.fixture
def service(
    database: Database, cache_folder: Path, home: Path, server: EmbeddedServer, template: Path, tmp_path: Path
) -> Iterator[ServiceWithFullDisk]:
    service = ServiceWithFullDisk(database, cache_folder, home, server, template, tmp_path / "log")
    try:
        service.start()
        yield service
    finally:
        service.stop()


def test_tasks_wait_for_room_and_end_exactly_once(
    service: ServiceWithFullDisk, server: EmbeddedServer, database: Database
) -> None:
    with witnesses(database, random.Random(seed())) as scene:
        make_room_for_rows(database)
        scene.crowd.launch(TASKS)
        processes = service.pids()
        wait_until(lambda: database.value("SELECT count(*) > %s FROM witness.step", TASKS // 3), "some steps")
        fill(service.ballast)
        try:
            refuse_to_write(service, scene)
            die(service, server)
        finally:
            service.ballast.unlink()
        began = time.monotonic()
        wait_until(lambda: goes_on(scene) and not scene.unfinished(), "the end of all tasks", 120)
        took = time.monotonic() - began
        # A worker that got no task to try takes what it saw for history after a while.
        wait_until(lambda: service.readiness() == (200, "ready\n"), "readiness", FORGET_AFTER + 30)
        assert set(processes) <= set(service.pids()), service.log[-5000:]
        assert "Traceback" not in service.log
        print(f"all ended {took:.0f} s after there was room; {judge(scene)}")


def refuse_to_write(service: ServiceWithFullDisk, scene: Witnesses) -> None:
    """It answers, and all that needs room is refused. Each worker with something to write says so once, and nobody is
    told that all is well.
    """
    wait_until(lambda: goes_on(scene) and said_by(service), "a worker says so")
    assert "No space left on device" in service.log
    status, why = service.readiness()
    assert status == 503
    assert REFUSES in why
    with durable.Client(scene.database.url) as client, pytest.raises(TryAgain, match="No space left"):
        client.launch("refused", workflow("witnessed"), {"large": random.randbytes(20_000).hex()})
    lines = len(service.log.splitlines())
    over = time.monotonic() + REFUSING
    while time.monotonic() < over:
        goes_on(scene)
        time.sleep(0.1)
    assert set(said_by(service).values()) == {1}
    # Tasks that are tried, and told one by one; without restraint that would be some hundred lines a second.
    assert len(service.log.splitlines()) - lines < TASKS + 30 * REFUSING
    assert not scene.database.value("SELECT count(*) FROM durable.task WHERE state IN ('failed', 'quarantined')")


def die(service: ServiceWithFullDisk, server: EmbeddedServer) -> None:
    """The log of transactions gets no new file: PostgreSQL panics, and its recovery fails for the same reason."""
    with suppress(psycopg.OperationalError), psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(1000):
            connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 1000000))")
    told = wait_until(lambda: re.findall(r"cannot be started; trying again: .*", service.log), "it stays down", 60)
    assert "No space left on device" in told[0]
    assert service.readiness()[0] == 503
    assert "PANIC" in (server.data_folder / "postgres.log").read_text()


def said_by(service: ServiceWithFullDisk) -> Counter[str]:
    """How often each worker has said that nothing can be written."""
    return Counter(re.findall(rf'{REFUSES}.*"worker": (\d+)', service.log))


def goes_on(scene: Witnesses) -> bool:
    """The clients do what they can; whether they could."""
    with suppress(psycopg.OperationalError):
        scene.crowd.tell(1)
        return True
    return False


def make_room_for_rows(database: Database) -> None:
    """For what the workflow itself inserts: an error of its own statements is its own to handle, and it would fail."""
    database.query("DROP INDEX witness.step_task_idx")
    database.query("INSERT INTO witness.step (task) SELECT 0 FROM generate_series(1, %s)", 10 * TASKS)
    database.query("DELETE FROM witness.step")
    for _ in range(3):  # a statement that was running just now keeps rows from being removed
        database.query("VACUUM (TRUNCATE false) witness.step")
        time.sleep(0.1)
