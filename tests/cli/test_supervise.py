"""`durable supervise` up to the moment in which it forks, and the embedded server of a user."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from durable.cli.main import main
from durable.config import Config
from durable.embedded import EmbeddedServer
from durable.errors import ConfigError
from durable.store.migrations import latest
from tests.cli.conftest import Durable

Seen = dict[str, Any]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What a supervisor that only looks around sees when it is called."""
    seen: Seen = {}

    def supervise(config: Config, workers: int, *, reload: Callable[[], Config], run_keeper: object | None) -> int:
        assert config.database_url is not None
        with psycopg.connect(config.database_url, autocommit=True) as connection:
            seen["sessions"] = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            seen["version"] = connection.execute("SELECT max(version) FROM durable.migration").fetchone()
        seen.update(config=config, workers=workers, reload=reload, keeper=run_keeper, threads=threading.enumerate())
        return 7

    module = types.ModuleType("workers.supervisor")
    module.supervise = supervise  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "workers.supervisor", module)
    return seen


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DURABLE_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def data_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder of a user; the second test that uses it finds what the first one made."""
    folder = tmp_path_factory.mktemp("home")
    yield folder
    EmbeddedServer(folder / "durable" / "postgres").stop("immediate")


def runs(data_home: Path) -> bool:
    return EmbeddedServer(data_home / "durable" / "postgres").is_running


def test_supervise_hands_over_its_configuration_and_ends_with_the_supervisors_exit_code(url: str, seen: Seen) -> None:
    threads = threading.enumerate()

    code = main(["supervise", "--workers", "3", "--database-url", url, "--max-tasks", "20", "--log-level", "error"])

    assert code == 7
    assert seen["workers"] == 3
    assert seen["keeper"] is None
    assert seen["config"].max_tasks == 20
    assert seen["sessions"] == (0,), "a connection was open when it forked"
    assert seen["threads"] == threads


def test_supervise_runs_a_worker_per_cpu_unless_it_is_told(url: str, seen: Seen) -> None:
    main(["supervise", "--database-url", url])

    assert seen["workers"] == os.cpu_count()


def test_supervise_migrates_when_it_is_asked_to(empty_url: str, seen: Seen) -> None:
    assert main(["supervise", "--database-url", empty_url]) == 78
    assert seen == {}

    assert main(["supervise", "--database-url", empty_url, "--migrate"]) == 7
    assert seen["version"] == (latest(),)
    assert seen["sessions"] == (0,)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--database-url", "localhost"], "database_url (from --database-url): write postgresql://"),
        (["--database-url", "postgresql://u:p@ss@h/d"], "user name and password must be percent-encoded"),
        (["--max-tasks", "many"], "max_tasks (from --max-tasks): 'many': write a whole number"),
        (["--hang-timeout", "10s"], "hang_timeout (10s) must be at least heartbeat_timeout (30s)"),
        (["--config", "/nowhere.toml"], "there is no configuration file /nowhere.toml"),
    ],
)
def test_what_cannot_work_ends_with_78_and_one_line_before_anything_is_started(
    homeless: Durable, seen: Seen, flags: list[str], why: str
) -> None:
    done = homeless("supervise", *flags)
    assert done.code == 78
    assert why in done.err
    assert done.err.count("\n") == 1
    assert seen == {}


def test_a_reload_reads_the_file_again_and_keeps_flags_and_variables(
    url: str, seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "durable.toml"
    file.write_text("max_tasks = 10\nsuspend_timeout = 1\n")
    monkeypatch.setenv("DURABLE_POLL_INTERVAL", "3s")
    main(["supervise", "--config", str(file), "--database-url", url, "--suspend-timeout", "2s"])
    assert (seen["config"].max_tasks, seen["config"].suspend_timeout) == (10, 2.0)

    file.write_text("max_tasks = 11\nsuspend_timeout = 7\n")
    again = seen["reload"]()
    assert (again.max_tasks, again.suspend_timeout, again.poll_interval) == (11, 2.0, 3.0)
    assert again.database_url == url

    file.write_text("max_taks = 12\n")
    with pytest.raises(ConfigError, match="max_taks"):
        seen["reload"]()


def test_a_reload_cannot_leave_the_database_for_an_embedded_one(url: str, seen: Seen, tmp_path: Path) -> None:
    file = tmp_path / "durable.toml"
    file.write_text(f"database_url = '{url}'\n")
    main(["supervise", "--config", str(file)])
    file.write_text("")
    with pytest.raises(ConfigError, match="restart the service"):
        seen["reload"]()


def test_without_a_database_url_there_is_an_embedded_server_that_is_stopped_at_the_end(
    seen: Seen, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(data_home))

    assert main(["supervise", "--workers", "1"]) == 7

    assert seen["version"] == (latest(),)
    assert seen["sessions"] == (0,)
    assert seen["config"].source_of("database_url") == "the embedded server"
    assert seen["reload"]() == seen["config"]
    assert seen["keeper"] is not None
    assert not runs(data_home)


def test_other_commands_start_the_embedded_server_migrate_it_and_leave_it_running(
    homeless: Durable, data_home: Path
) -> None:
    homeless.environ["XDG_DATA_HOME"] = str(data_home)

    assert homeless.process("launch", "", "x").code == 1
    assert not runs(data_home), "a mistake is told before a database is started"
    assert homeless.process("list").out.startswith("id  name")
    assert runs(data_home)
    assert homeless("doctor").code == 0
