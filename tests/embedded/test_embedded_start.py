"""The embedded server starts by itself, quickly, and is what durable needs."""

from __future__ import annotations

import os
import stat
import statistics
import time
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedPostgresError, EmbeddedServer, default_data_folder
from durable.errors import DatabaseUnavailable
from tests.embedded.conftest import Actor


def show(url: str, setting: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting(%s)", [setting]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_new_folder_becomes_a_running_database(fresh: EmbeddedServer) -> None:
    assert (fresh.is_running, fresh.pid, fresh.version) == (False, None, None)
    with psycopg.connect(fresh.ensure_running()) as connection:
        who = connection.execute("SELECT current_database(), current_user").fetchone()
        assert who == ("durable", "durable")
    assert fresh.is_running
    assert fresh.version is not None and fresh.version >= 14


def test_what_was_committed_is_there_after_a_stop_and_after_a_crash(server: EmbeddedServer) -> None:
    with psycopg.connect(server.ensure_running()) as connection:
        connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 1 AS n")
    server.stop()
    assert not server.is_running
    with psycopg.connect(server.ensure_running()) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
    url = server.restart("immediate")
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT sum(n) FROM kept").fetchone() == (3,)


def test_it_is_durable_utf8_and_reachable_by_its_owner_alone(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "data")
    url = server.ensure_running()
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "server_encoding": "UTF8",
        "lc_collate": "C",
        "timezone": "UTC",
        "listen_addresses": "",
        "max_connections": "200",
    }
    settings = dict(expected)
    if server.version is not None and server.version >= 16:
        del settings["lc_collate"]  # it is no setting any more
    assert {name: show(url, name) for name in settings} == settings
    socket = Path(show(url, "unix_socket_directories").strip('"'))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(Path(show(url, "data_directory")).stat().st_mode) == 0o700
    server.stop("immediate")


def test_a_running_server_is_found_in_milliseconds(server: EmbeddedServer) -> None:
    server.ensure_running()
    times = []
    for _ in range(9):
        before = time.perf_counter()
        server.ensure_running()
        times.append(time.perf_counter() - before)
    assert statistics.median(times) < 0.05  # 3 ms on a quiet machine


def test_the_url_stays_the_same_over_restarts(server: EmbeddedServer) -> None:
    url = server.ensure_running()
    assert server.restart() == url
    assert EmbeddedServer(server.data_folder).url == url
    server.stop()
    assert server.ensure_running() == url


def test_another_port_in_the_environment_does_not_mislead(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGDATA", "/nowhere")
    psycopg.connect(server.ensure_running()).close()


def test_a_full_server_is_a_running_server(copy: EmbeddedServer) -> None:
    with (copy.data_folder / "cluster" / "postgresql.conf").open("a") as conf:
        conf.write("max_connections = 10\n")
    url = copy.ensure_running()
    connections = []
    try:
        with pytest.raises(psycopg.OperationalError):
            for _ in range(11):
                connections.append(psycopg.connect(url))
        assert copy.ensure_running() == url
    finally:
        for connection in connections:
            connection.close()


def test_a_dropped_database_is_made_again(server: EmbeddedServer) -> None:
    url = server.ensure_running()
    with psycopg.connect(url.replace("/durable?", "/postgres?"), autocommit=True) as connection:
        connection.execute("DROP DATABASE durable WITH (FORCE)")
    psycopg.connect(server.ensure_running()).close()


def test_stopping_what_does_not_exist_is_no_error_and_makes_nothing(fresh: EmbeddedServer) -> None:
    fresh.stop()
    assert not fresh.data_folder.exists()


def test_stopping_what_was_stopped_is_no_error(server: EmbeddedServer) -> None:
    server.ensure_running()
    server.stop("smart")
    server.stop("immediate")


def test_a_setting_that_postgres_refuses_is_reported_with_the_reason(copy: EmbeddedServer) -> None:
    with (copy.data_folder / "cluster" / "postgresql.conf").open("a") as conf:
        conf.write("max_connections = many\n")
    with pytest.raises(EmbeddedPostgresError, match="PostgreSQL did not start: ") as raised:
        copy.ensure_running()
    assert "postgres.log" in str(raised.value)
    assert len(str(raised.value).splitlines()) == 2


def test_a_path_that_is_no_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (EmbeddedServer.ensure_running, lambda server: server.hold().__enter__()):
        with pytest.raises(EmbeddedPostgresError, match="cannot use the data folder"):
            use(EmbeddedServer(tmp_path / "file" / "data"))


def test_its_error_is_one_of_an_unavailable_database() -> None:
    assert issubclass(EmbeddedPostgresError, DatabaseUnavailable)


def test_the_data_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/invalid")
    assert default_data_folder() == Path("/home/someone/.local/share/durable/postgres")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_folder() == tmp_path / "durable" / "postgres"
    assert EmbeddedServer().data_folder == tmp_path / "durable" / "postgres"


def test_ten_processes_at_once_get_one_server(fresh: EmbeddedServer, actor: Actor) -> None:
    code = "sys.stdin.readline(); url = server.ensure_running(); psycopg.connect(url).close();"
    code += "print(server.pid, url)"
    actors = [actor(fresh, code) for _ in range(10)]
    for each in actors:
        each.stdin.write("\n")
        each.stdin.flush()
    said = {each.communicate() for each in actors}
    assert said == {f"{fresh.pid} {fresh.url}\n"}
    assert {each.returncode for each in actors} == {0}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_the_server_knows_no_secrets_of_its_starter(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "canary")
    server.ensure_running()
    assert b"canary" not in Path(f"/proc/{server.pid}/environ").read_bytes()
