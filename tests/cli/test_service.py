"""`durable service install`: a unit file with the paths of this installation, and what to do next."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from durable.cli import service
from tests.cli.conftest import Durable


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the tests run, perhaps in somebody's home, counts as reachable."""
    monkeypatch.setattr(service, "_why_unreachable", lambda paths: None)


def test_the_unit_runs_the_durable_that_wrote_it(homeless: Durable) -> None:
    done = homeless("service", "install", "--user", "--print", "--workers", "3")
    assert (done.code, done.err) == (0, "")
    command = done.out.partition("\nExecStart=")[2].partition(" supervise --workers 3\n")[0]
    assert Path(command).parent == Path(sys.executable).parent
    assert os.access(command, os.X_OK)


def test_without_the_script_it_runs_the_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    assert service._command() == [str(python), "-m", "durable"]


def test_a_user_unit_is_written_and_the_next_steps_are_said(homeless: Durable, tmp_path: Path) -> None:
    done = homeless("service", "install", "--user")
    unit = tmp_path / ".config" / "systemd" / "user" / "durable.service"
    assert done.code == 0
    assert done.out == f"wrote {unit}\n"
    assert "systemctl --user enable --now durable" in done.err
    assert unit.read_text() == homeless("service", "install", "--user", "--print").out
    assert [file.name for file in unit.parent.iterdir()] == ["durable.service"]


@pytest.mark.usefixtures("anywhere")
def test_a_file_that_is_different_is_kept_unless_forced(homeless: Durable, tmp_path: Path) -> None:
    install = ("service", "install", "--folder", tmp_path, "--name", "billing")
    assert homeless(*install).code == 0
    assert homeless(*install).code == 0, "it is the same"
    unit = tmp_path / "billing.service"
    unit.write_text("edited by hand")
    done = homeless(*install)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == f"error: {unit} exists and is different"
    assert unit.read_text() == "edited by hand"
    assert homeless(*install, "--force").code == 0
    assert "--config /etc/durable/billing.toml" in unit.read_text()


@pytest.mark.usefixtures("anywhere")
def test_a_configuration_file_is_named_by_its_whole_path(
    homeless: Durable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = homeless("service", "install", "--print", "--config", "prod.toml")
    assert f" supervise --config {tmp_path}/prod.toml\n" in done.out
    assert "LoadCredential=database_url:/etc/durable/database_url\n" in done.out


@pytest.mark.usefixtures("anywhere")
def test_the_steps_for_instances_name_their_files(homeless: Durable, tmp_path: Path) -> None:
    done = homeless("service", "install", "--folder", tmp_path, "--name", "durable@")
    assert done.code == 0
    assert "/etc/durable/INSTANCE.toml" in done.err
    assert "/etc/durable/INSTANCE.database_url" in done.err
    assert "systemctl enable --now durable@INSTANCE" in done.err
    migrate = done.err.index("DURABLE_DATABASE_URL=$(cat /etc/durable/INSTANCE.database_url) ")
    assert done.err.index("/dev/stdin") < migrate < done.err.index("enable --now")


@pytest.mark.usefixtures("anywhere")
def test_where_it_cannot_be_written_it_says_what_to_do(homeless: Durable, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = homeless("service", "install", "--folder", tmp_path / "file" / "units")
    assert done.code == 1
    assert "cannot write" in done.err and "--print" in done.err


def test_a_bad_name_is_a_usage_error(homeless: Durable) -> None:
    done = homeless("service", "install", "--print", "--name", "a b")
    assert done.code == 2
    assert "write a name like durable" in done.err


def test_an_installation_that_the_sandbox_hides_is_refused() -> None:
    assert "home folders and /tmp are hidden" in str(service._why_unreachable([Path("/home/me/venv/bin/durable")]))
    assert "use --user" in str(service._why_unreachable([Path("/root/venv/bin/durable")]))
    assert service._why_unreachable([Path("/bin/sh")]) is None


def test_a_folder_that_is_closed_to_others_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0o700)
    monkeypatch.setattr(service, "HIDDEN", ())
    assert "is closed to other users" in str(service._why_unreachable([closed / "bin" / "durable"]))


def test_what_is_only_printed_is_printed_with_a_warning(homeless: Durable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "HIDDEN", ("/",))
    done = homeless("service", "install", "--print")
    assert done.code == 0
    assert done.err.startswith("warning: the service could not reach ")
    refused = homeless("service", "install", "--folder", "/nowhere")
    assert refused.code == 1 and "install durable in a folder such as /opt/durable" in refused.err
