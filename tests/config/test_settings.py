"""Settings: where they come from, what they may be, and which fit together."""

from __future__ import annotations

import pwd
import re
from dataclasses import fields
from pathlib import Path

import pytest

from durable.config import CREDENTIALS, KEYS, Config, Key, check_relations, default_cache_folder, load
from durable.errors import ConfigError

NOWHERE = {"DURABLE_CONFIG": ""}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "durable.toml"


def refusal(file: Path | None = None, **environ: str) -> str:
    """What is said of these variables, or of this file."""
    with pytest.raises(ConfigError) as refused:
        load({}, environ, file)
    assert refused.value.exit_code == 78
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def test_without_anything_everything_has_its_default() -> None:
    config = load({}, {"HOME": "/home/me"})

    assert config.database_url is None
    assert (config.heartbeat_interval, config.heartbeat_timeout, config.poll_interval) == (10, 30, 1)
    assert (config.flush_interval, config.max_tasks, config.cleanup_age) == (0.02, 1000, 7 * 86400)
    assert (config.max_event_bytes, config.max_log_bytes_per_transaction) == (4 * 1024**2, 131072)
    assert (config.max_workflow_events, config.max_journal_bytes) == (2147483647, 1024**3)
    assert config.max_task_data_bytes == 16 * 1024**2
    assert {config.source_of(key) for key in KEYS} == {"default"}
    check_relations(config)


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(file: Path) -> None:
    file.write_text('max_tasks = 1\npoll_interval = "2s"\nsuspend_timeout = 3')
    environ = {"DURABLE_MAX_TASKS": "10", "DURABLE_POLL_INTERVAL": "20s"}

    config = load({"max_tasks": "100", "log_level": None}, environ, file)

    assert (config.max_tasks, config.poll_interval, config.suspend_timeout) == (100, 20, 3)
    sources = [config.source_of(key) for key in ("max_tasks", "poll_interval", "suspend_timeout", "log_level")]
    assert sources == ["--max-tasks", "DURABLE_POLL_INTERVAL", str(file), "default"]


def test_database_url_is_taken_where_it_is_set_first(file: Path) -> None:
    file.write_text('database_url = "postgresql://file/db"')
    environ = {"DATABASE_URL": "postgresql://general/db"}
    assert load({}, {}, file).database_url == "postgresql://file/db"
    assert load({}, environ, file).database_url == "postgresql://general/db"
    environ["DURABLE_DATABASE_URL"] = "postgresql://ours/db"
    assert load({}, environ, file).database_url == "postgresql://ours/db"
    assert load({"database_url": "postgresql://flag/db"}, environ, file).database_url == "postgresql://flag/db"


def test_a_credential_of_the_service_manager_wins_over_the_file_and_over_nothing_else(
    file: Path, tmp_path: Path
) -> None:
    file.write_text('database_url = "postgresql://file/db"\nguest_database_url = "postgresql://file/guest"')
    (tmp_path / "database_url").write_text("postgresql://me:s3cr3t@credential/db\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = load({}, environ, file)
    assert config.database_url == "postgresql://me:s3cr3t@credential/db"
    assert config.source_of("database_url") == "credential database_url"
    assert config.guest_database_url == "postgresql://file/guest"
    (tmp_path / "guest_database_url").write_text("postgresql://credential/guest")
    (tmp_path / "egress_proxy").write_text("http://me:s3cr3t@proxy:3128")
    (tmp_path / "max_tasks").write_text("no secret, and therefore not looked at")
    config = load({}, environ, file)
    assert (config.guest_database_url, config.max_tasks) == ("postgresql://credential/guest", 1000)
    assert config.egress_proxy == "http://me:s3cr3t@proxy:3128"
    environ["DATABASE_URL"] = "postgresql://general/db"
    assert load({}, environ, file).database_url == "postgresql://general/db"


def test_a_bad_credential_is_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    credential = tmp_path / "database_url"
    credential.write_text("postgresql://me:s3cr3t/x@host/db")
    said = refusal(CREDENTIALS_DIRECTORY=str(tmp_path))
    assert said.startswith("database_url (from credential database_url): user name and password must be percent-enc")
    credential.write_bytes(b"postgresql://\xff")
    assert refusal(CREDENTIALS_DIRECTORY=str(tmp_path)) == f"cannot read the credential {credential}: it is not UTF-8"
    credential.write_text("")
    assert "write postgresql://" in refusal(CREDENTIALS_DIRECTORY=str(tmp_path))
    credential.unlink()
    credential.mkdir()
    assert refusal(CREDENTIALS_DIRECTORY=str(tmp_path)).endswith("Is a directory")


def test_every_key_that_may_hold_a_password_can_be_a_credential() -> None:
    hidden = {one.name for one in fields(Config) if one.metadata and not one.repr}
    assert set(CREDENTIALS) == hidden


def test_the_file_is_the_one_that_a_variable_names(file: Path) -> None:
    file.write_text("max_tasks = 7")

    assert load({}, {"DURABLE_CONFIG": str(file)}).max_tasks == 7


def test_a_file_that_cannot_be_read_is_an_error(file: Path) -> None:
    assert f"there is no configuration file {file}" in refusal(file)
    file.write_text("max_tasks = ")
    assert "is not valid TOML" in refusal(file)
    file.write_bytes(b"max_tasks = \xff")
    assert "is not valid TOML" in refusal(file)
    assert "Is a directory" in refusal(file.parent)


def test_an_unknown_key_is_an_error_that_names_the_nearest(file: Path) -> None:
    file.write_text("heartbeat_timout = 3")
    assert f'unknown key "heartbeat_timout" in {file}; did you mean "heartbeat_timeout"?' == refusal(file)
    assert 'did you mean "DURABLE_MAX_TASKS"?' in refusal(DURABLE_MAXTASKS="3")
    assert "did you mean" in refusal(DURABLE_QQQ="3")


def test_variables_of_others_are_left_alone() -> None:
    load(
        {},
        {
            "DURABLE_FAILPOINT": "x:1",
            "DURABLE_GUEST_CACHE": "/cache",
            "DURABLE_SEED": "7",
            "DURABLE_PORT": "tcp://10.0.0.1:80",  # Kubernetes, for a service that is called durable
            "DURABLE_PORT_80_TCP_ADDR": "10.0.0.1",
            "DURABLE_SERVICE_HOST": "10.0.0.1",
            "DURABLE_SERVICE_PORT_HTTP": "80",
            "DURABLE_MAX_TASKS": "",
            "XDURABLE_MAX_TASKS": "3",
        },
    )


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (3, 3),
        (0.5, 0.5),
        ("3", 3),
        ("20ms", 0.02),
        ("10s", 10),
        ("5m", 300),
        ("24h", 86400),
        ("7d", 604800),
        ("1.5 m", 90),
    ],
)
def test_a_duration_is_seconds_or_has_a_unit(written: object, seconds: float) -> None:
    config = load({"suspend_timeout": written}, {})

    assert config.suspend_timeout == seconds
    assert load({"suspend_timeout": KEYS["suspend_timeout"].kind.show(config.suspend_timeout)}, {}) == config


@pytest.mark.parametrize(("written", "size"), [(70000, 70000), ("128KiB", 131072), ("256MiB", 2**28), ("1 GiB", 2**30)])
def test_a_size_is_bytes_or_has_a_unit(written: object, size: int) -> None:
    config = load({"guest_memory_limit": written}, {})

    assert config.guest_memory_limit == size
    assert KEYS["guest_memory_limit"].kind.read(KEYS["guest_memory_limit"].kind.show(size)) == size


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("suspend_timeout", value) for value in ["x", "", "5 weeks", "-1", -1, True, float("nan"), [], "1s2s"]),
        *(("guest_memory_limit", value) for value in ["x", "1MB", "0.5B", -1, True, "5GiB", "1KiB"]),
        *(("max_tasks", value) for value in ["x", "1.5", 1.5, 0, "-1", True, "\u0661"]),
        *(("max_workflow_events", value) for value in [0, 2**31]),
        ("log_format", "xml"),
        ("log_level", "loud"),
        ("cache_folder", 3),
        ("database_url", 3),
        ("database_url", "localhost"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_key_and_where_it_was(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{key} \(from {KEYS[key].flag}\)"):
        load({key: value}, {})


@pytest.mark.parametrize(
    "key", [key for key in KEYS.values() if (key.least, key.most) != (None, None)], ids=lambda key: key.name
)
def test_a_bound_is_a_value_and_what_is_beyond_it_is_none(key: Key) -> None:
    for bound, beyond, said in ((key.least, -1, "at least"), (key.most, 1, "at most")):
        if bound is not None:
            assert key.read(bound) == bound
            with pytest.raises(ValueError, match=f"must be {said} "):
                key.read(bound + (beyond if isinstance(key.default, int) else beyond * bound * 0.001))


def test_a_bad_database_url_is_not_shown() -> None:
    said = refusal(DURABLE_DATABASE_URL="postgresql://me:s3cr3t/x@host/db")

    assert "s3cr3t" not in said
    assert "percent-encoded" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"heartbeat_interval": 11}, "heartbeat_interval (11s) must be at most a third of heartbeat_timeout (30s)"),
        ({"heartbeat_timeout": "20s"}, "heartbeat_interval (10s) must be at most a third"),
        ({"heartbeat_timeout": 90}, "hang_timeout (1m) must be at least heartbeat_timeout (90s)"),
        ({"flush_interval": 1, "heartbeat_timeout": 2, "heartbeat_interval": 0.5}, "flush_interval (1s)"),
        ({"max_tasks": 5001}, "max_tasks (5001) must be at most 5000: each task needs memory maps"),
        ({"max_task_log_bytes": 1000}, "max_log_bytes_per_transaction (128KiB) must not exceed"),
        ({"guest_cpu_limit": "5ms"}, "guest_cpu_slice (10ms) must not exceed guest_cpu_limit (5ms)"),
    ],
)
def test_values_that_do_not_fit_together_are_an_error(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load(settings, {})


def test_values_at_the_edge_of_fitting_together_are_fine() -> None:
    load({"heartbeat_interval": 0.1, "heartbeat_timeout": "0.6s", "flush_interval": 0.2, "max_tasks": 5000}, {})
    for timeout in (0.5, 0.7, 1, 30, 3600):
        config = load({"heartbeat_timeout": timeout, "heartbeat_interval": timeout / 3, "hang_timeout": "1h"}, {})
        assert 0 < config.idle_in_transaction_timeout < config.heartbeat_timeout


def test_the_cache_folder_is_the_users() -> None:
    assert default_cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/durable")
    assert load({}, {"XDG_CACHE_HOME": "/c"}).cache_folder == Path("/c/durable")
    assert load({"cache_folder": "~/x"}, {}).cache_folder == Path.home() / "x"


def test_a_user_without_a_home_needs_one_only_when_nothing_names_the_cache_folder(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert load({}, {"XDG_CACHE_HOME": "/c"}).cache_folder == Path("/c/durable")
    assert load({"cache_folder": "/x"}, {}).cache_folder == Path("/x")
    assert load({}, {"DURABLE_CACHE_FOLDER": "/x"}).cache_folder == Path("/x")
    assert "cache_folder: this user has no home folder" in refusal()
    assert "DURABLE_CACHE_FOLDER" in refusal()
    assert refusal(DURABLE_CACHE_FOLDER="~/x") == (
        "cache_folder (from DURABLE_CACHE_FOLDER): '~/x': there is no home folder for its ~"
    )
    assert refusal(DURABLE_CONFIG="~/x").startswith("cannot read the configuration file ~/x: there is no home")


def test_the_database_url_is_not_in_what_is_printed_of_a_configuration() -> None:
    assert "s3cr3t" not in repr(Config(database_url="postgresql://me:s3cr3t@host/db"))


def test_every_key_is_documented_in_one_sentence_or_two() -> None:
    for key in KEYS.values():
        assert key.doc.endswith("."), key.name
        assert hasattr(Config(), key.name)


def test_plugins_are_named_in_a_list_or_with_commas(file: Path) -> None:
    file.write_text('plugins = ["mail", "stock"]')
    assert load({}, {}, file).plugins == ("mail", "stock")
    assert load({}, {"DURABLE_PLUGINS": "mail, stock,mail"}).plugins == ("mail", "stock")
    assert load({}, {"DURABLE_PLUGINS": "none"}).plugins == ()
    assert load({}, {"DURABLE_PLUGINS": ""}).plugins is None
    file.write_text("plugins = 3")
    assert "write a list of names" in refusal(file)
