"""The unit under a real systemd: sandbox, credential, drain and restart are what the kernel and systemd make of it."""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from durable.cli.unit_file import Unit
from tests.engine.database import Database, wait_until
from tests.ops.booted import Systemd, booted_systemd, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

ROOT = Path(__file__).parents[2]

# Only what lies elsewhere when tests run: where this Python is, perhaps in a home folder that the sandbox hides.
_WHERE_THE_TESTS_ARE = f"""
[Service]
ProtectHome=tmpfs
BindReadOnlyPaths={sys.base_prefix} {sys.prefix} {ROOT}
"""


@pytest.fixture(scope="module")
def systemd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    with booted_systemd(tmp_path_factory.mktemp("systemd")) as systemd:
        (systemd.units / "durable.service").write_text(
            Unit("durable", [str(Path(sys.prefix) / "bin" / "python"), "-m", "durable"], workers=2).text()
        )
        drop_ins = systemd.units / "durable.service.d"
        drop_ins.mkdir()
        (drop_ins / "tests.conf").write_text(_WHERE_THE_TESTS_ARE)
        systemd.systemctl("daemon-reload")
        yield systemd


@contextmanager
def _reachable(url: str) -> Iterator[str]:
    """The same database over TCP: its socket lies in a folder that the sandbox does not show."""
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    (path,) = (file for file in Path(folder).glob(".s.PGSQL.*") if file.is_socket())

    class Forward(BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as postgres:
                postgres.connect(str(path))
                _copy_until_one_ends(self.request, postgres)

    with _Server(("127.0.0.1", 0), Forward) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"postgresql://durable@127.0.0.1:{server.server_address[1]}{urlsplit(url).path}"
        server.shutdown()


class _Server(ThreadingTCPServer):
    daemon_threads = False  # so that the end of the context waits for them


def _copy_until_one_ends(one: socket.socket, other: socket.socket) -> None:
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(65536)
            if not data:
                return
            (other if source is one else one).sendall(data)


@pytest.fixture
def database(database_url: str, systemd: Systemd) -> Iterator[Database]:
    """Its URL is the credential of the service, which is stopped after the test."""
    with closing(Database(database_url)) as database, _reachable(database_url) as url:
        systemd.write("/etc/durable/database_url", url)
        yield database
        systemd.systemctl("stop", "durable")
        systemd.systemctl("reset-failed", "durable")


def _start(systemd: Systemd) -> None:
    started = systemd.systemctl("start", "durable")
    assert started.returncode == 0, started.stderr + systemd.journal("durable")


def _workers(database: Database) -> set[int]:
    return {pid for (pid,) in database.query("SELECT pid FROM durable.worker")}


def test_tasks_run_in_the_sandbox_and_programs_are_cached(systemd: Systemd, database: Database) -> None:
    _start(systemd)
    assert database.value("SELECT count(*) FROM durable.worker") == 2, "systemctl returns when all are registered"
    tasks = [
        database.launch("hello-world"),
        database.launch("use-sql", {"sql": "SELECT 1"}),
        database.launch("sleepy-sleep", {"seconds": 1}),
        database.launch("use-http", {"url": "http://127.0.0.1:1/"}),
    ]
    for task in tasks[:3]:
        assert database.wait_for_end(task) == "complete", database.log(task) + database.failure(task)
    database.wait_for_end(tasks[3])
    assert "loopback" in database.log(tasks[3]) + database.failure(tasks[3])
    cached = systemd.run("sh", "-c", "ls /var/cache/durable/*/*.cwasm").stdout.split()
    assert len(cached) == len(tasks)
    assert "going on without" not in systemd.journal("durable")


def test_its_processes_have_no_rights_and_a_user_of_their_own(systemd: Systemd, database: Database) -> None:
    _start(systemd)
    for pid in _workers(database):
        status = dict(
            line.split(":\t", 1)
            for line in systemd.run("cat", f"/proc/{pid}/status").stdout.splitlines()
            if ":\t" in line
        )
        assert int(status["Uid"].split()[0]) >= 61184, "a dynamic user"
        assert (status["CapEff"], status["CapBnd"]) == ("0" * 16, "0" * 16)
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert "database_url" not in systemd.run("cat", f"/proc/{pid}/cmdline").stdout
        assert "postgresql://" not in systemd.run("cat", f"/proc/{pid}/environ").stdout


def test_a_restart_drains_and_a_task_goes_on_after_it(systemd: Systemd, database: Database) -> None:
    _start(systemd)
    task = database.launch("sleep-n-go", {"count": 4})
    wait_until(lambda: database.log(task), "its first line")
    restarted = systemd.systemctl("restart", "durable")
    assert restarted.returncode == 0, restarted.stderr
    assert database.wait_for_end(task) == "complete"
    assert len(database.log(task).splitlines()) == 4
    assert "stopped, exit status 0" in systemd.journal("durable")


def test_a_reload_replaces_the_workers_and_not_the_service(systemd: Systemd, database: Database) -> None:
    _start(systemd)
    service, before = systemd.property("durable", "MainPID"), _workers(database)
    wait_until(lambda: systemd.property("durable", "StatusText").startswith("2/2 workers"), "it says so")
    assert systemd.systemctl("reload", "durable").returncode == 0
    wait_until(lambda: len(_workers(database)) == 2 and not before & _workers(database), "there are others")
    wait_until(lambda: systemd.property("durable", "ActiveState") == "active", "the reload is over")
    assert systemd.property("durable", "MainPID") == service


def test_after_a_crash_it_is_started_again_and_after_a_configuration_error_it_is_not(
    systemd: Systemd, database: Database
) -> None:
    _start(systemd)
    systemd.run("kill", "-KILL", systemd.property("durable", "MainPID"))
    wait_until(lambda: systemd.property("durable", "NRestarts") == "1", "it is started again")
    wait_until(lambda: systemd.property("durable", "ActiveState") == "active", "it runs again")
    systemd.write("/etc/durable/durable.toml", "max_taks = 3\n", mode="644")
    try:
        systemd.systemctl("restart", "durable")
        wait_until(lambda: systemd.property("durable", "ActiveState") == "failed", "it has given up")
        assert systemd.property("durable", "ExecMainStatus") == "78"
        assert 'unknown key "max_taks"' in systemd.journal("durable")
    finally:
        systemd.run("rm", "/etc/durable/durable.toml")


def test_without_its_credential_it_does_not_start(systemd: Systemd, database: Database) -> None:
    systemd.run("rm", "/etc/durable/database_url")
    assert systemd.systemctl("start", "durable").returncode != 0
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT count(*) FROM durable.worker").fetchone() == (0,)
