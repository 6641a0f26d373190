"""Real servers in folders of their own, and real processes that use them and can be killed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer

PROJECT = Path(__file__).resolve().parents[2]

#: Everything is imported before the user changes: the interpreter may lie where only root can go.
PROLOGUE = """
import os, pwd, signal, sys, time
from pathlib import Path
import psycopg
from durable.embedded import EmbeddedPostgresError, EmbeddedServer
import durable.embedded.cluster
if sys.argv[2]:
    user = pwd.getpwnam(sys.argv[2])
    os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
server = EmbeddedServer(Path(sys.argv[1]), fsync=False)
"""

Actor = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that was used and stopped."""
    server = EmbeddedServer(tmp_path_factory.mktemp("shared") / "data", fsync=False)
    server.ensure_running()
    server.stop()
    return server.data_folder


@pytest.fixture
def server(shared_folder: Path) -> Iterator[EmbeddedServer]:
    """A server that was made earlier and does not run; other tests use its folder after this one."""
    server = EmbeddedServer(shared_folder, start_timeout=60)
    yield server
    server.stop()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server whose data folder does not exist yet."""
    server = EmbeddedServer(tmp_path / "data", start_timeout=60, fsync=False)
    yield server
    server.stop("immediate")
    shutil.rmtree(server.data_folder, ignore_errors=True)  # 40 MB each: pytest would keep three runs of them


@pytest.fixture
def copy(fresh: EmbeddedServer, shared_folder: Path) -> EmbeddedServer:
    """A server that was made earlier and does not run; its folder may be changed at will."""
    shutil.copytree(shared_folder / "cluster", fresh.data_folder / "cluster")
    return fresh


@pytest.fixture
def actor() -> Iterator[Actor]:
    """Start a Python process that runs `code` with its own idea of `server`, as `user` or as is."""
    started: list[subprocess.Popen[str]] = []

    def start(
        server: EmbeddedServer, code: str, *, user: str = "", env: dict[str, str] | None = None, fd: int = -1
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROLOGUE + code, str(server.data_folder), user],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]), **(env or {})},
            pass_fds=[fd] if fd >= 0 else [],
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def nobodys() -> Iterator[EmbeddedServer]:
    """A server in a folder that is the user nobody's, and in its reach; pytest's folders are closed to it."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    user = pwd.getpwnam("nobody")
    folder = Path(f"/tmp/durable-test-{os.getpid()}")
    folder.mkdir(mode=0o700)
    os.chown(folder, user.pw_uid, user.pw_gid)
    server = EmbeddedServer(folder / "data", fsync=False)
    yield server
    server.stop("immediate")
    shutil.rmtree(folder)
