"""The folder with the counters: none is left behind, and no other service's is touched."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from durable.errors import ConfigError
from workers.metrics_folder import metrics_folder

from .conftest import Start


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    parent = tmp_path / "parent"
    parent.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(parent))
    return parent


@pytest.mark.parametrize("variable", ["RUNTIME_DIRECTORY", "TMPDIR"])
def test_what_a_killed_service_left_is_removed_by_the_next_one_and_a_living_ones_is_not(
    start: Start, parent: Path, variable: str
) -> None:
    elsewhere = {"RUNTIME_DIRECTORY": "", variable: str(parent)}
    killed = start(2, environ=elsewhere)
    pids = killed.wait_ready(2)
    [left] = parent.iterdir()
    (left / "worker-1").write_text("counters")
    living = start(1, environ=elsewhere)
    living.wait_ready(1)
    assert len(list(parent.iterdir())) == 2
    killed.signal(signal.SIGKILL)
    killed.process.wait()
    for pid in pids:
        killed.wait_gone(pid)

    start(1, environ=elsewhere).wait_ready(1)

    assert not left.exists()
    assert len(list(parent.iterdir())) == 2
    living.signal(signal.SIGTERM)
    assert living.exit_status() == 0
    assert len(list(parent.iterdir())) == 1


def test_only_folders_of_this_kind_and_of_this_user_are_removed(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (parent / "durable-something").mkdir()
    (parent / "durable-metrics-file").touch()
    (parent / "target").mkdir()
    (parent / "target" / "kept").touch()
    (parent / "durable-metrics-link").symlink_to(parent / "target")
    kept = set(parent.rglob("*"))
    (parent / "durable-metrics-left").mkdir()
    with monkeypatch.context() as another_user:
        another_user.setattr(os, "geteuid", lambda: os.getuid() + 1)
        with metrics_folder():
            assert (parent / "durable-metrics-left").exists()
    with metrics_folder() as folder:
        assert set(parent.rglob("*")) == {*kept, folder}
    assert set(parent.rglob("*")) == kept


@pytest.mark.usefixtures("parent")
def test_services_that_start_at_the_same_time_have_a_folder_each() -> None:
    problems = []

    def come_and_go() -> None:
        for _ in range(50):
            with metrics_folder() as folder:
                if not folder.exists():
                    problems.append(folder)

    services = [threading.Thread(target=come_and_go) for _ in range(4)]
    for service in services:
        service.start()
    for service in services:
        service.join()
    assert problems == []


def test_a_folder_that_cannot_be_made_is_an_error_in_one_line(parent: Path) -> None:
    parent.rmdir()
    with pytest.raises(ConfigError, match="cannot make a folder for the metrics: "), metrics_folder():
        pass
