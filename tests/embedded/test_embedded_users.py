"""Root, ordinary users, and both in turn: the server never runs as root and nobody is locked out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedPostgresError, EmbeddedServer
from tests.embedded.conftest import Actor

needs_root = pytest.mark.skipif(os.geteuid() != 0 or not os.path.isdir("/proc/self"), reason="needs root on Linux")

SERVE = """
try:
    print(server.ensure_running())
except EmbeddedPostgresError as error:
    print(error)
"""


def status(server: EmbeddedServer, field: str) -> str:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


def path_with(folder: Path, *programs: str) -> dict[str, str]:
    """An environment in which only these programs are found, as on a host that has no others."""
    folder.mkdir()
    for program in programs:
        (folder / program).symlink_to(str(shutil.which(program)))
    return {"PATH": str(folder)}


@needs_root
def test_roots_server_has_no_powers_of_root(server: EmbeddedServer) -> None:
    server.ensure_running()
    assert int(status(server, "CapEff"), 16) == 0
    with psycopg.connect(server.url) as connection, pytest.raises(psycopg.Error, match="could not open file"):
        connection.execute("SELECT pg_read_file('/proc/1/environ')")


@needs_root
def test_an_ordinary_user_makes_uses_holds_and_stops_a_server(actor: Actor, nobodys: EmbeddedServer) -> None:
    code = """
with server.hold() as holder:
    with psycopg.connect(holder.url) as connection:
        print(connection.execute('SELECT current_user').fetchone()[0], os.stat(f'/proc/{server.pid}').st_uid)
server.ensure_running(); server.restart('immediate'); server.stop()
print(server.is_running)
"""
    said = actor(nobodys, code, user="nobody").communicate()
    assert said == f"durable {nobodys.data_folder.stat().st_uid}\nFalse\n"


@needs_root
def test_a_users_server_that_root_starts_stays_the_users(actor: Actor, nobodys: EmbeddedServer) -> None:
    actor(nobodys, "server.ensure_running(); server.stop()", user="nobody").communicate()
    (nobodys.data_folder / "postgres.log").unlink()
    (nobodys.data_folder / "start.lock").unlink()
    psycopg.connect(nobodys.ensure_running()).close()
    assert status(nobodys, "Uid") == str(nobodys.data_folder.stat().st_uid)
    assert int(status(nobodys, "CapEff"), 16) == 0
    theirs = actor(nobodys, SERVE + "print(server.restart() == server.url)", user="nobody")
    assert theirs.communicate() == f"{nobodys.url}\nTrue\n"


@needs_root
def test_somebody_elses_folder_is_reported(actor: Actor, nobodys: EmbeddedServer) -> None:
    nobodys.data_folder.mkdir(mode=0o700)
    said = actor(nobodys, SERVE, user="nobody").communicate()
    assert said.startswith(f"cannot use the data folder {nobodys.data_folder} of root: ")
    assert "run durable as its owner" in said
    out_of_reach = EmbeddedServer(Path("/root/durable"))
    said = actor(out_of_reach, SERVE, user="nobody").communicate()
    assert said.startswith("cannot use the data folder /root/durable: ")


@needs_root
def test_without_namespaces_an_existing_user_takes_over(fresh: EmbeddedServer, actor: Actor, tmp_path: Path) -> None:
    env = path_with(tmp_path / "bin", "setpriv", "id")
    assert actor(fresh, SERVE, env=env).communicate() == f"{fresh.url}\n"
    assert status(fresh, "Uid") != "0"
    psycopg.connect(fresh.restart("immediate")).close()  # now with unshare: the folder keeps its owner
    assert status(fresh, "Uid") != "0"


@needs_root
def test_an_existing_user_that_can_reach_the_folder_gets_no_powers(
    actor: Actor, nobodys: EmbeddedServer, tmp_path: Path
) -> None:
    nobodys.data_folder.parent.chmod(0o755)
    nobodys.data_folder.mkdir(mode=0o755)
    actor(nobodys, SERVE, env=path_with(tmp_path / "bin", "setpriv")).communicate()
    assert status(nobodys, "Uid") != "0"
    assert int(status(nobodys, "CapEff"), 16) == 0


@needs_root
def test_when_root_has_no_way_it_is_told_what_to_do(fresh: EmbeddedServer, actor: Actor, tmp_path: Path) -> None:
    said = actor(fresh, SERVE, env=path_with(tmp_path / "bin")).communicate()
    assert said.startswith("PostgreSQL refuses to run as root")
    assert "DURABLE_DATABASE_URL" in said
    assert list(fresh.data_folder.glob("cluster*")) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(EmbeddedPostgresError, match="cannot use the data folder"):
        EmbeddedServer(tmp_path / "data").ensure_running()
    tmp_path.chmod(0o700)
