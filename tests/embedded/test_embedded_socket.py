"""The socket is reachable whatever the folder is called, private, and made again when it is lost."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from durable.embedded import EmbeddedServer


def socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


@pytest.fixture
def deep(tmp_path: Path, copy: EmbeddedServer) -> EmbeddedServer:
    """A server whose data folder has a path that is too long for a socket."""
    folder = tmp_path / ("x" * 120)
    copy.data_folder.rename(folder)
    return EmbeddedServer(folder)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's runtime folder, as a login makes it."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_folder_with_a_long_path_gets_a_short_private_one(
    deep: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = deep.ensure_running()
    psycopg.connect(url).close()
    folder = socket_folder(url)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/elsewhere")  # another command of the same user, from cron perhaps
    assert EmbeddedServer(deep.data_folder).ensure_running() == url
    assert deep.restart("immediate") == url
    deep.stop()
    assert not folder.exists()


def test_a_runtime_folder_is_preferred_and_its_loss_is_mended(deep: EmbeddedServer, runtime: Path) -> None:
    url = deep.ensure_running()
    assert socket_folder(url).parent == runtime
    shutil.rmtree(runtime)  # logging out does this
    psycopg.connect(deep.ensure_running()).close()
    assert deep.is_running
    deep.stop()


def test_a_folder_that_a_stranger_made_first_is_not_used(deep: EmbeddedServer, runtime: Path, tmp_path: Path) -> None:
    trap = socket_folder(deep.ensure_running())
    deep.stop()
    (tmp_path / "theirs").mkdir()
    traps = [trap, Path(tempfile.gettempdir()) / trap.name, Path("/tmp") / trap.name]
    for each in set(traps):
        each.symlink_to(tmp_path / "theirs")
    psycopg.connect(deep.ensure_running()).close()
    assert socket_folder(deep.restart()) not in traps
    deep.stop()
    for each in set(traps):
        each.unlink()
    assert trap.parent == runtime
    assert list((tmp_path / "theirs").iterdir()) == []


def test_a_path_with_every_kind_of_character_works(copy: EmbeddedServer, tmp_path: Path) -> None:
    folder = tmp_path / "a b,\"c'd$e&é%\\"
    copy.data_folder.rename(folder)
    odd = EmbeddedServer(folder)
    psycopg.connect(odd.ensure_running()).close()
    psycopg.connect(odd.restart("immediate")).close()
    odd.stop()
    assert not odd.is_running


def test_a_path_that_is_no_text_works(copy: EmbeddedServer, tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    copy.data_folder.rename(folder)
    odd = EmbeddedServer(folder)
    psycopg.connect(odd.ensure_running()).close()
    odd.stop()
