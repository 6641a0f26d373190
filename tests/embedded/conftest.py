"""Real servers in folders of their own, and real processes that use them and can be killed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer
from tests.embedded.actors import Acting

Actor = Callable[..., Acting]


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
    fresh.data_folder.mkdir()
    subprocess.run(["cp", "-a", shared_folder / "cluster", fresh.data_folder], check=True)  # quicker than shutil
    return fresh


@pytest.fixture
def actor() -> Iterator[Actor]:
    """Start a process that runs `code` with its own idea of `server`, as `user` or as is."""
    started: list[Acting] = []

    def start(server: EmbeddedServer, code: str, *, user: str = "", env: Mapping[str, str] | None = None) -> Acting:
        started.append(Acting(server, code, user, env or {}))
        return started[-1]

    yield start
    for each in started:
        each.dismiss()


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
