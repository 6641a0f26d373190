"""Whatever was killed, at whatever moment: the next command finds or makes a healthy server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

import durable.embedded.server
from durable.embedded import EmbeddedPostgresError, EmbeddedServer
from durable.embedded.serverlog import ServerLog
from durable.embedded.waiting import patiently
from tests.embedded.conftest import Actor


def eventually(condition: Callable[[], object], seconds: float = 20) -> bool:
    return any(condition() for _ in patiently(seconds))


def drafts(server: EmbeddedServer) -> list[str]:
    return [path.name for path in server.data_folder.glob("cluster.new-*")]


def kill(server: EmbeddedServer, signum: signal.Signals = signal.SIGKILL) -> int:
    """Kill the postmaster alone and return what its pid was."""
    pid = server.pid
    assert pid is not None
    os.kill(pid, signum)
    assert eventually(lambda: not server.is_running)
    return pid


def recover_slowly(server: EmbeddedServer) -> None:
    """The next start is a recovery from an archive that takes some seconds to say that it has nothing."""
    with (server.data_folder / "cluster" / "postgresql.conf").open("a") as conf:
        conf.write("hot_standby = off\nrestore_command = 'sleep 0.4; false'\n")
    (server.data_folder / "cluster" / "recovery.signal").touch()
    owner = (server.data_folder / "cluster").stat()
    os.chown(server.data_folder / "cluster" / "recovery.signal", owner.st_uid, owner.st_gid)


def test_an_initdb_whose_caller_was_killed_is_done_again(fresh: EmbeddedServer, actor: Actor) -> None:
    for _ in range(2):
        caller = actor(fresh, "server.ensure_running()")
        assert eventually(lambda: list(fresh.data_folder.glob("cluster.new-*/base")))
        caller.kill()
        caller.wait()
        assert drafts(fresh)
    psycopg.connect(fresh.ensure_running()).close()
    fresh.restart()
    assert drafts(fresh) == []


def test_an_interrupted_initdb_leaves_nothing(fresh: EmbeddedServer, actor: Actor) -> None:
    caller = actor(fresh, "server.ensure_running()")
    assert eventually(lambda: list(fresh.data_folder.glob("cluster.new-*/base")))
    os.killpg(caller.pid, signal.SIGINT)
    assert caller.wait(20) != 0
    assert drafts(fresh) == []


def test_an_interruption_just_when_initdb_has_ended_is_an_interruption(
    fresh: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    communicate_for_real = subprocess.Popen.communicate

    def communicate(process: Any, input: Any = None, timeout: float | None = None) -> Any:
        if "--encoding=UTF8" not in process.args:
            return communicate_for_real(process, input, timeout)
        process.wait(timeout)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
    with pytest.raises(KeyboardInterrupt):
        fresh.ensure_running()
    assert drafts(fresh) == []


def test_the_server_outlives_its_killed_starter_and_is_found(server: EmbeddedServer, actor: Actor) -> None:
    starter = actor(server, "server.ensure_running(); print(server.pid, flush=True); time.sleep(60)")
    pid = int(starter.stdout.readline())
    starter.kill()
    starter.wait()
    psycopg.connect(server.ensure_running()).close()
    assert server.pid == pid


def test_a_killed_server_is_started_again(server: EmbeddedServer) -> None:
    server.ensure_running()
    dead = kill(server)
    psycopg.connect(server.ensure_running()).close()
    assert server.pid != dead


def test_a_pid_that_now_belongs_to_another_process_is_no_server(copy: EmbeddedServer) -> None:
    copy.ensure_running()
    dead = kill(copy)
    with subprocess.Popen(["sleep", "60"]) as stranger:
        for name in ("cluster/postmaster.pid", "socket/.s.PGSQL.5432.lock"):
            file = copy.data_folder / name
            file.write_text(file.read_text().replace(str(dead), str(stranger.pid), 1))
        assert not copy.is_running
        copy.stop("immediate")
        psycopg.connect(copy.ensure_running()).close()
        assert copy.pid != stranger.pid
        copy.stop("immediate")
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.parametrize("rest", ["", "123", "not a number\n"])
def test_a_mutilated_pid_file_is_no_server(copy: EmbeddedServer, rest: str) -> None:
    copy.ensure_running()
    kill(copy)
    (copy.data_folder / "cluster" / "postmaster.pid").write_text(rest)
    try:
        psycopg.connect(copy.ensure_running()).close()
    except EmbeddedPostgresError as error:
        assert "postmaster.pid" in str(error)  # PostgreSQL itself wants a person to look at an empty one


def test_no_server_starts_while_a_backend_of_the_killed_one_writes_on(server: EmbeddedServer) -> None:
    url = server.ensure_running()
    busy = "DO $$ DECLARE t timestamptz := clock_timestamp() + '1.5 s';"
    busy += "BEGIN WHILE clock_timestamp() < t LOOP END LOOP; END $$"

    def work() -> None:
        with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
            connection.execute(busy)

    with psycopg.connect(url, autocommit=True) as watcher:
        thread = threading.Thread(target=work)
        begin = time.monotonic()
        thread.start()
        active = "SELECT FROM pg_stat_activity WHERE query LIKE 'DO %' AND state = 'active'"
        assert eventually(lambda: watcher.execute(active).fetchall())
    kill(server)
    psycopg.connect(server.ensure_running()).close()
    assert time.monotonic() - begin >= 1.5
    thread.join()


def test_a_server_that_recovers_is_waited_for(
    copy: EmbeddedServer, actor: Actor, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recover_slowly(copy)
    starter = actor(copy, "server.ensure_running()")
    assert eventually(lambda: copy.pid)
    pid = copy.pid
    starter.kill()
    with pytest.raises(EmbeddedPostgresError, match="try again if it is still recovering"):
        EmbeddedServer(copy.data_folder, start_timeout=0.3).ensure_running()
    monkeypatch.setattr(durable.embedded.server, "SAY_WHY_AFTER", 0.1)
    with caplog.at_level(logging.WARNING):
        psycopg.connect(copy.ensure_running()).close()
    assert copy.pid == pid
    assert [record.getMessage() for record in caplog.records] == [
        f"waiting for PostgreSQL in {copy.data_folder}: process {pid} is starting, perhaps recovering from a crash"
    ]


def test_a_server_that_is_shutting_down_is_waited_for_and_started_again(server: EmbeddedServer) -> None:
    with psycopg.connect(server.ensure_running()):
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)  # a smart shutdown: it waits for this connection
        status = server.data_folder / "cluster" / "postmaster.pid"
        assert eventually(lambda: "stopping" in status.read_text())
        threading.Timer(0.5, os.kill, [pid, signal.SIGINT]).start()
        psycopg.connect(server.ensure_running()).close()
    assert server.pid not in (None, pid)


def test_an_immediate_restart_cuts_clients_off_and_they_can_come_back(server: EmbeddedServer) -> None:
    url = server.ensure_running()
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        assert server.restart("immediate") == url
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    psycopg.connect(url).close()


def test_a_stop_that_cannot_end_says_so(server: EmbeddedServer) -> None:
    with psycopg.connect(server.ensure_running()):
        impatient = EmbeddedServer(server.data_folder, start_timeout=0.2)
        with pytest.raises(EmbeddedPostgresError, match=r"still runs 0 s after a smart shutdown"):
            impatient.stop("smart")


def test_a_stopped_starter_is_not_waited_for_without_end(server: EmbeddedServer, actor: Actor) -> None:
    holder = actor(
        server,
        "import fcntl; f = open(server.data_folder / 'start.lock', 'a');"
        "fcntl.flock(f, fcntl.LOCK_EX); print('locked', flush=True); time.sleep(60)",
    )
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(EmbeddedPostgresError, match=r"start\.lock locked"):
        EmbeddedServer(server.data_folder, start_timeout=0.3).ensure_running()
    holder.kill()
    server.ensure_running()


def test_the_reason_of_a_failed_start_is_not_taken_from_another_process(tmp_path: Path) -> None:
    log = ServerLog(tmp_path / "postgres.log")
    with log.opened() as descriptor:
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [7] FATAL:  terminating connection: postmaster exit\n")
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [8] FATAL:  shared memory block is still in use\n")
    assert log.reason(8) == "shared memory block is still in use"
    with log.opened() as descriptor:
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [11] FATAL:  the database system is starting up\n")
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [10] PANIC:  could not write: No space left on device\n")
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [8] LOG:  startup process (PID 10) was terminated\n")
        os.write(descriptor, b"2026-01-01 00:00:00.000 UTC [8] LOG:  database system is shut down\n")
    assert log.reason(8) == "could not write: No space left on device"
    with log.opened() as descriptor:
        os.write(descriptor, b"postgres: error while loading shared libraries\n")
    assert log.reason(9) == "postgres: error while loading shared libraries"


def test_a_large_log_is_put_aside_at_a_start(copy: EmbeddedServer) -> None:
    with (copy.data_folder / "postgres.log").open("wb") as log:
        log.truncate(9 * 1024 * 1024)
    copy.ensure_running()
    assert (copy.data_folder / "postgres.log").stat().st_size < 1024 * 1024
    assert (copy.data_folder / "postgres.log.1").exists()
