"""The command line itself: options, errors, exit codes, help."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pty
import re
import time
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner

from durable import __version__
from durable.cli.doctor import check_wasmtime
from durable.cli.invocation import Invocation
from durable.cli.process_list import without_url
from durable.cli.root import cli
from durable.cli.tasks import MAX_LIMIT
from durable.store import migrations
from tests.cli.conftest import Durable, end_of
from tests.client.databases import Worker

SECRET = "s3cr3t-canary"


def commands(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield f"{path} {name}".strip(), command
        if isinstance(command, click.Group):
            yield from commands(command, name)


def test_the_commands_are_those_of_the_contract() -> None:
    assert {name for name, _ in commands()} >= {
        *(
            "supervise",
            "launch",
            "logs",
            "events",
            "notify",
            "list",
            "show",
            "wait",
            "workers",
            "migrate",
            "doctor",
            "config",
        ),
        *("program", "program add", "program list", "program rm", "version", "completion"),
    }


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: str(value))
def test_every_command_has_a_help_with_an_example_and_the_global_options(name: str, command: click.Command) -> None:
    done = CliRunner().invoke(cli, [*name.split(), "--help"], obj=Invocation({}))

    assert done.exit_code == 0
    assert f"\nExample:\n  durable {name.split()[0]}" in done.output or 'eval "$(durable' in done.output
    for option in ("--database-url", "--config", "--output", "--log-format", "--debug"):
        assert option in done.output


def test_the_list_of_commands_is_in_the_order_of_use_and_no_sentence_is_cut(homeless: Durable) -> None:
    for help in (homeless("--help").out, homeless("service", "--help").out):
        assert "..." not in help.partition("Commands:")[2]
    listed = re.findall(r"^  ([a-z]+) ", homeless("--help").out.partition("Commands:")[2], re.MULTILINE)
    assert listed[:3] == ["supervise", "launch", "logs"]


def test_the_options_of_a_command_come_first_and_words_to_choose_from_as_they_are_written(homeless: Durable) -> None:
    help = homeless("events", "--help").out
    assert help.index("\nOptions:") < help.index("\nGlobal options:")
    assert "--log-format [auto|human|json]" in help


def test_version_is_told_in_two_ways(homeless: Durable) -> None:
    assert homeless.process("--version").out == homeless("version").out == f"durable {__version__}\n"


def test_global_options_are_taken_before_and_after_the_command_and_the_last_wins(
    homeless: Durable, url: str, worker: Worker
) -> None:
    worker.task()
    assert len(json.loads(homeless("--database-url", url, "-o", "json", "list").out)) == 1
    assert len(json.loads(homeless("list", "-o", "json", "--database-url", url).out)) == 1
    assert len(json.loads(homeless("-o", "table", "list", "-o", "json", "--database-url", url).out)) == 1


def test_wrong_usage_is_told_in_two_lines_and_exits_with_2(homeless: Durable) -> None:
    for arguments in [
        ("nonsense",),
        ("list", "--nonsense"),
        ("list", "--state", "nonsense"),
        ("list", "--limit", "0"),
        ("list", "--limit", str(MAX_LIMIT + 1)),
        ("launch", "only a name"),
        ("logs", "not-a-number"),
        ("program",),
        ("program", "add", "no-such-file.wasm"),
        ("supervise", "--workers", "0"),
        ("-o", "xml", "list"),
    ]:
        done = homeless(*arguments)
        assert (done.code, done.out) == (2, ""), done
        assert done.err.startswith("error: ")
        assert re.fullmatch(r"try `durable.* --help`", done.err.splitlines()[1])
    assert "'not-a-number' is not a valid task id" in homeless("logs", "not-a-number").err


def test_a_database_that_is_down_exits_with_69_without_password_or_traceback(homeless: Durable) -> None:
    homeless.environ["DATABASE_URL"] = f"postgresql://me:{SECRET}@127.0.0.1:1/db"
    for arguments in [("list",), ("supervise", "--workers", "1"), ("migrate",), ("launch", "t", "p")]:
        done = homeless(*arguments)
        assert done.code == 69, done
        assert len(done.err.splitlines()) == 2
        assert SECRET not in done.out + done.err

    shown = homeless.process("--debug", "list")
    assert "Traceback" in shown.err
    assert SECRET not in shown.err


COMMANDS_WITH_A_CLIENT = [
    ("launch", "a task", "program"), ("notify", "1", "event"), ("cancel", "1"), ("pause", "1"), ("resume", "1"),
    ("relaunch", "1"),
    ("list",), ("show", "1"), ("wait", "1"), ("logs", "1"), ("events", "1"), ("workers",), ("program", "list"),
    ("program", "rm", "x"),
]  # fmt: skip


def test_a_schema_of_another_version_is_told_by_every_command_and_nothing_is_done(
    homeless: Durable, empty_url: str
) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    latest = migrations.latest()

    def refusals() -> set[tuple[int, str]]:
        return {(done.code, done.err) for done in (homeless(*command) for command in COMMANDS_WITH_A_CLIENT)}

    assert refusals() == {(78, "error: the database has no durable schema yet: run `durable migrate`\n")}
    assert homeless("migrate", "--target", latest - 1).code == 0
    old = (
        f"error: the database schema has version {latest - 1} and this durable needs {latest}: run `durable migrate`\n"
    )
    assert refusals() == {(78, old)}
    assert homeless("migrate").code == 0
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("INSERT INTO durable.migration (version, name) VALUES (%s, 'of_tomorrow')", [latest + 1])
    new = f"error: the database schema has version {latest + 1} and this durable knows only {latest}: upgrade durable\n"
    assert refusals() == {(78, new)}


def test_a_newer_schema_that_this_version_works_with_is_used_and_named(homeless: Durable, empty_url: str) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    assert homeless("migrate").code == 0
    latest = migrations.latest()
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("INSERT INTO durable.migration VALUES (%s, 'wider', now(), %s)", [latest + 1, latest])

    assert homeless("list").code == 0
    assert (homeless("migrate").code, homeless("migrate").err) == (0, "nothing to do\n")
    assert re.search(
        rf"^warning +schema +version {latest + 1}; this durable is made for {latest} and works with it",
        homeless("doctor").out,
        re.MULTILINE,
    )
    refused = homeless("migrate", "--target", latest, "--yes")
    assert (refused.code, "upgrade durable" in refused.err) == (78, True)


def test_a_password_on_the_command_line_does_not_stay_in_the_process_list(
    homeless: Durable, worker: Worker, url: str
) -> None:
    task_id = worker.task("active")
    worker.register()
    secret_url = url.replace("postgresql://durable@", f"postgresql://durable:{SECRET}@")
    assert secret_url != url
    waiting = homeless.start("wait", "--database-url", secret_url, task_id)
    command_line = Path(f"/proc/{waiting.pid}/cmdline")
    deadline = time.monotonic() + 20
    while SECRET.encode() in command_line.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert SECRET.encode() not in command_line.read_bytes()
    worker.end(task_id)
    done = end_of(waiting)
    assert (done.code, done.out) == (0, "complete\n")


def test_only_the_url_is_taken_out_of_the_arguments() -> None:
    assert without_url(["python", "-m", "durable", "list", "-o", "json"]) == (
        ["python", "-m", "durable", "list", "-o", "json"],
        None,
    )
    assert without_url(["d", "--database-url", "a", "list", "--database-url=b=c", "x"]) == (["d", "list", "x"], "b=c")
    assert without_url(["d", "--database-url"]) == (["d"], None)


def test_a_bad_setting_exits_with_78(homeless: Durable, tmp_path: Path) -> None:
    homeless.environ["DURABLE_MAX_TASK"] = "5"
    done = homeless("list")
    assert (done.code, done.out) == (78, "")
    assert (
        done.err == 'error: unknown variable "DURABLE_MAX_TASK" in the environment; did you mean "DURABLE_MAX_TASKS"?\n'
    )
    del homeless.environ["DURABLE_MAX_TASK"]
    assert homeless("config", "--config", tmp_path / "nothing.toml").code == 78
    assert homeless("supervise", "--heartbeat-interval", "1h").code == 78


def test_config_prints_every_value_and_where_it_comes_from(homeless: Durable, tmp_path: Path) -> None:
    file = tmp_path / "durable.toml"
    file.write_text('poll_interval = "2s"')
    homeless.environ["DURABLE_MAX_TASKS"] = "20"
    homeless.environ["DATABASE_URL"] = f"postgresql://me:{SECRET}@host/db"

    done = homeless("config", "--config", file, "--suspend-timeout", "5m", "-o", "json")

    assert SECRET not in done.out
    rows = {row["key"]: (row["value"], row["source"]) for row in json.loads(done.out)}
    assert rows["poll_interval"] == ("2s", str(file))
    assert rows["max_tasks"] == ("20", "DURABLE_MAX_TASKS")
    assert rows["suspend_timeout"] == ("5m", "--suspend-timeout")
    assert rows["database_url"] == ("postgresql://me:***@host/db", "DATABASE_URL")
    assert rows["heartbeat_timeout"] == ("30s", "default")


def test_completion_completes_commands_and_options(homeless: Durable) -> None:
    assert "_DURABLE_COMPLETE" in homeless("completion", "zsh").out
    homeless.environ |= {"_DURABLE_COMPLETE": "bash_complete", "COMP_WORDS": "durable la", "COMP_CWORD": "1"}
    assert homeless.process().out == "plain,launch\n"


@pytest.mark.parametrize("words", ["durable launch name ", "durable --config ", "durable relaunch 1 --program "])
def test_completion_completes_files(homeless: Durable, words: str) -> None:
    homeless.environ |= {
        "_DURABLE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split())),
    }
    assert homeless.process().out.startswith("file,")


def test_help_is_shown_when_nothing_is_asked_for(homeless: Durable) -> None:
    done = homeless()
    assert done.code == 0
    assert "Run workflows to completion" in done.out


def test_migrate_takes_steps_up_and_down_and_says_them(homeless: Durable, empty_url: str) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    assert homeless("list").code == 78
    assert homeless("supervise").code == 78
    assert homeless("migrate", "--dry-run").out.startswith("would apply 0001_initial up\n")
    assert homeless("migrate").out.startswith("applied 0001_initial up\n")
    again = homeless("migrate")
    assert (again.code, again.out, again.err) == (0, "", "nothing to do\n")
    assert homeless("list").code == 0
    assert homeless("migrate", "--target", "0", "--yes").out.endswith("applied 0001_initial down\n")
    assert homeless("migrate", "--target", "4711").code == 78


def test_migrate_goes_down_unasked_only_when_it_is_told_to(homeless: Durable, empty_url: str) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    homeless("migrate")
    done = homeless.process("migrate", "--target", "0")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: going down to version 0 takes back ")
    assert "0001_initial and deletes what the database holds of it\n`--yes` " in done.err
    assert len(done.err.splitlines()) == 2
    assert homeless("list").code == 0, "nothing was taken back"
    assert homeless("migrate", "--target", "0", "--dry-run").code == 0


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"y\n", 0)])
def test_migrate_asks_on_a_terminal_before_it_goes_down(
    homeless: Durable, empty_url: str, answer: bytes, code: int
) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    homeless("migrate")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        done = end_of(homeless.start("migrate", "--target", "0", stdin=theirs))
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.code == code, done
    assert "Going down to version 0 takes back " in done.err
    assert done.out.endswith("initial down\n") == (code == 0)
    assert homeless("list").code == (78 if code == 0 else 0)


def test_doctor_says_what_is_wrong_and_what_to_do(durable: Durable, worker: Worker, tmp_path: Path) -> None:
    well = durable("doctor")
    assert well.code == 0, well
    assert re.search(r"^ok +schema", well.out, re.MULTILINE)
    assert "`durable supervise`" in well.out

    worker.task("ready")
    assert durable("doctor").code == 1
    worker.register()
    assert durable("doctor").code == 0

    (tmp_path / "file").write_text("")
    durable.environ["DURABLE_CACHE_FOLDER"] = str(tmp_path / "file" / "cache")
    slow = durable("doctor", "-o", "jsonl")
    assert slow.code == 0, "tasks run without a cache"
    findings = {row["check"]: row for row in map(json.loads, slow.out.splitlines())}
    assert findings["cache folder"]["status"] == "warning"
    assert "cache_folder" in findings["cache folder"]["remedy"]
    assert set(findings) == {
        "wasmtime",
        "cache folder",
        "plugins",
        "database",
        "clock",
        "schema",
        "privileges",
        "workers",
        "inboxes",
    }


def test_doctor_warns_of_tasks_with_very_many_notifications_that_they_have_not_read(
    durable: Durable, worker: Worker
) -> None:
    few, many = worker.task("suspended"), worker.task("suspended")
    worker.sql.execute(
        "INSERT INTO durable.notification (task_id, event) SELECT %s, 'e' FROM generate_series(1, 9999)", [few]
    )
    assert re.search(r"^ok +inboxes", durable("doctor").out, re.MULTILINE)
    worker.sql.execute(
        "INSERT INTO durable.notification (task_id, event) SELECT %s, 'e' FROM generate_series(1, 10000)", [many]
    )
    found = re.search(r"^warning +inboxes +(.*)", durable("doctor").out, re.MULTILINE)
    assert found is not None
    assert found[1] == f"task {many} has 10000 unread notifications"


@pytest.mark.parametrize("granted", ["", "SCHEMA durable", "durable.migration", "durable.task"])
def test_doctor_names_every_missing_privilege_and_what_grants_it(homeless: Durable, url: str, granted: str) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = url.replace("durable@", "look-er@")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute('DROP ROLE IF EXISTS "look-er"; CREATE ROLE "look-er" LOGIN')
        try:
            if granted:
                connection.execute(f'GRANT {"USAGE" if " " in granted else "SELECT"} ON {granted} TO "look-er"')
            before = {row["check"]: row for row in map(json.loads, homeless("doctor", "-o", "jsonl").out.splitlines())}
            for statement in before["privileges"]["remedy"].splitlines()[1:]:
                connection.execute(statement)
            after = {row["check"]: row for row in map(json.loads, homeless("doctor", "-o", "jsonl").out.splitlines())}
        finally:
            connection.execute('DROP OWNED BY "look-er"; DROP ROLE "look-er"')

    assert before["privileges"]["status"] == "bad"
    lacks = before["privileges"]["found"]
    assert lacks.startswith('the role "look-er" lacks ')
    assert ("USAGE on schema durable" in lacks) == (granted != "SCHEMA durable")
    assert ("SELECT on table durable.migration" in lacks) == (granted != "durable.migration")
    all_of_task = re.search(r"SELECT, INSERT, UPDATE, DELETE on table [^;]*durable\.task\b", lacks)
    assert (all_of_task is None) == (granted == "durable.task")
    assert "durable.task_id_seq" in lacks
    assert "durable doctor" not in lacks + before["privileges"]["remedy"]
    assert after["privileges"]["status"] == after["schema"]["status"] == "ok"


def test_doctor_compares_wasmtime_with_the_version_that_durable_is_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_wasmtime().status == "ok"
    for requirements, status in [
        (["click>=8", "wasmtime==1.2.3"], "warning"),
        (['wasmtime==1.2.3 ; python_version > "3"'], "warning"),
        (["wasmtime>=1"], "ok"),
        (["wasmtime-tools==1.2.3"], "ok"),
        (None, "ok"),
    ]:
        monkeypatch.setattr(importlib.metadata, "requires", {"durable": requirements}.__getitem__)
        finding = check_wasmtime()
        assert finding.status == status
        assert ("1.2.3" in finding.found and "wasmtime==1.2.3" in finding.remedy) == (status == "warning")


def test_doctor_finds_a_missing_schema_and_a_missing_database(homeless: Durable, empty_url: str) -> None:
    homeless.environ["DURABLE_DATABASE_URL"] = empty_url
    assert re.search(r"^bad +schema .*durable migrate", homeless("doctor").out, re.MULTILINE)

    homeless.environ["DURABLE_DATABASE_URL"] = "postgresql://127.0.0.1:1/db"
    done = homeless("doctor")
    assert (done.code, done.err) == (1, "")
    assert re.search(r"^bad +database +cannot connect", done.out, re.MULTILINE)
