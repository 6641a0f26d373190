"""The example plugin as an operator has it: installed, found by its entry point, under `durable supervise`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until, workflow
from tests.plugins.mailbox import Mailbox, open_mailbox

SEND, DRAFT = "acme:mail/send.send", "acme:mail/send.draft.send"


def durable(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DURABLE_DATABASE_URL": database.url}
    return subprocess.run(
        [sys.executable, "-m", "durable", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def of_mail(database: Database, task: int) -> list[str]:
    return [label for label in database.labels(task) if label.startswith("acme:mail/")]


def ids(mail: Mailbox) -> list[str]:
    return [str(message["Message-ID"]) for message in mail.messages]


def test_a_workflow_calls_the_plugin_of_an_installed_package(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    start_service()
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0})
    assert database.wait_for_end(task) == "complete", database.log(task)
    assert mail.subjects == ["Welcome", "Are you there?"]
    assert mail.messages[1].get_content().splitlines() == [
        "Your basket is still empty.",
        "Is there anything that we can do for you?",
    ]
    # The pure calls (domain-of, the draft and its lines) are not in the journal.
    assert of_mail(database, task) == ["acme:mail/send.quota", SEND, DRAFT]
    assert "a customer at example.org; 500 messages left today\n[mail to ada@example.org: Welcome]\n" in database.log(
        task
    )
    database.assert_dense(task)


def test_a_worker_is_killed_between_two_mails_and_each_is_sent_once(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    service = start_service()
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 2})
    wait_until(lambda: SEND in database.labels(task), "the first mail in the journal")
    before, log = database.events(task), database.log(task)
    os.kill(wait_until(lambda: service.worker_of(task), "a worker that runs the task"), signal.SIGKILL)
    assert database.wait_for_end(task, 60) == "complete"
    assert mail.subjects == ["Welcome", "Are you there?"]
    assert database.events(task)[: len(before)] == before
    assert database.log(task).startswith(log)
    assert of_mail(database, task) == ["acme:mail/send.quota", SEND, DRAFT]
    database.assert_dense(task)


def test_a_worker_is_killed_between_a_mail_and_its_commit_and_the_mail_is_sent_again(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    """At least once: both copies have the same id, and the journal has one event."""
    service = start_service()
    mail.answers.clear()
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0})
    wait_until(lambda: mail.messages, "a mail that nobody has heard of")
    os.kill(wait_until(lambda: service.worker_of(task), "a worker that runs the task"), signal.SIGKILL)
    wait_until(lambda: len(mail.messages) == 2, "the same mail again")
    mail.answers.set()
    assert database.wait_for_end(task, 60) == "complete"
    assert mail.subjects == ["Welcome", "Welcome", "Are you there?"]
    assert ids(mail)[0] == ids(mail)[1] != ids(mail)[2]
    assert of_mail(database, task) == ["acme:mail/send.quota", SEND, DRAFT]
    assert database.log(task).count("[mail to ada@example.org: Welcome]") == 1
    database.assert_dense(task)


def test_a_transaction_is_one_event_and_its_mails_go_out_again_together(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    service = start_service()
    team = ["bob@example.org", "nobody@example.org", "eve@example.org"]
    mail.silent_at = 3  # the welcome, bob's, eve's
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0, "team": team})
    wait_until(lambda: len(mail.messages) == 3, "the last mail of the transaction")
    assert "tell the team" not in database.labels(task)
    os.kill(wait_until(lambda: service.worker_of(task), "a worker that runs the task"), signal.SIGKILL)
    assert database.wait_for_end(task, 60) == "complete"
    assert mail.subjects == ["Welcome", *["A customer"] * 4, "Are you there?"]
    assert ids(mail)[1:3] == ids(mail)[3:5], "the same mails have other keys when they are sent again"
    assert len(set(ids(mail))) == 4
    assert of_mail(database, task) == ["acme:mail/send.quota", SEND, DRAFT]
    assert [value for _, label, value in database.events(task) if label == "tell the team"] == [
        {"type": "value", "data": 2}
    ]
    assert "2 of the team know" in database.log(task)
    assert database.log(task).count("[mail to bob@example.org: A customer]") == 1
    database.assert_dense(task)


def test_a_drain_lets_a_mail_that_is_under_way_arrive_and_sends_it_once(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    service = start_service(workers=1)
    mail.answers.clear()
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0})
    wait_until(lambda: mail.messages, "a mail under way")
    service.process.send_signal(signal.SIGTERM)
    wait_until(lambda: database.value("SELECT draining FROM durable.worker"), "a worker that drains")
    mail.answers.set()
    assert service.process.wait(40) == 0
    assert of_mail(database, task) == ["acme:mail/send.quota", SEND]
    service.start()
    assert database.wait_for_end(task) == "complete"
    assert mail.subjects == ["Welcome", "Are you there?"]
    database.assert_dense(task)


def test_an_error_of_the_interface_is_the_workflows_to_handle(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    start_service()
    task = database.launch("welcome", {"to": "nobody@example.org", "seconds": 0})
    assert database.wait_for_end(task) == "complete"
    assert "welcome: refused: " in database.log(task)
    assert "no such mailbox" in database.log(task)
    assert mail.messages == []


def test_a_server_that_is_away_is_waited_for_without_a_worker(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    port = int(mail.address.partition(":")[2])
    mail.shutdown()
    mail.server_close()
    start_service()
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0})
    database.wait_for_state(task, "suspended")
    with open_mailbox(port) as back:
        database.advance_clock(31)
        assert database.wait_for_end(task) == "complete"
        assert back.subjects == ["Welcome", "Are you there?"]


def test_a_worker_without_the_plugin_leaves_the_task_to_one_that_has_it(
    database: Database, start_service: StartService, mail: Mailbox
) -> None:
    without = start_service(workers=2, plugins="none")
    task = database.launch("welcome", {"to": "ada@example.org", "seconds": 0})
    wait_until(lambda: without.log.count("are left to other workers") == 2, "both workers have seen it")
    assert "does not provide: acme:mail/send@1.0.0" in without.log
    healthy = database.launch("hello-world")
    assert database.wait_for_end(healthy) == "complete"
    wait_until(lambda: database.state(task) == "ready", "the task is nobody's")
    assert "error of the host" not in without.log
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 2, "it was claimed again and again"
    start_service(workers=1)
    assert database.wait_for_end(task) == "complete"
    assert mail.subjects == ["Welcome", "Are you there?"]
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", task) == 3


# -- the command line ------------------------------------------------------------------------------------------------
def test_a_program_is_checked_against_the_installed_plugins(
    database: Database, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    welcome = str(workflow("welcome"))
    monkeypatch.setenv("DURABLE_PLUGINS", "none")
    refused = durable(database, "program", "add", welcome)
    assert refused.returncode == 1
    assert refused.stderr.splitlines() == [
        "error: the component imports what this host does not provide: acme:mail/send@1.0.0",
        "install the plugin that does; `durable doctor` lists those of this host",
    ]
    monkeypatch.setenv("DURABLE_PLUGINS", "mail")
    assert durable(database, "program", "add", welcome).returncode == 0


def test_doctor_lists_the_plugins(database: Database, mail: Mailbox) -> None:
    found = durable(database, "doctor").stdout
    assert any(line.split() == ["ok", "plugins", "mail", "(acme:mail/send@1.0.0)"] for line in found.splitlines())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("acme_mail:Nothing", "'mail' (acme_mail:Nothing, of acme-mail 1.0.0) cannot be loaded: AttributeError"),
        ("acme_mail:PER_DAY", "cannot be loaded: TypeError"),
        ("acme_mail:Draft.close", "cannot be loaded: TypeError"),
        ("nowhere:Mail", "cannot be loaded: ModuleNotFoundError: No module named 'nowhere'"),
        ("builtins:dict", "is no plugin: builtins:dict must be a subclass of durable.plugins.Plugin"),
        ("durable.plugins:Plugin", "the plugin 'mail' cannot provide its interfaces: it has no `types`"),
    ],
)
def test_a_plugin_that_is_broken_keeps_the_service_from_starting(
    database: Database, mail: Mailbox, installed_mail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    value: str, said: str,
) -> None:  # fmt: skip
    broken = tmp_path / "acme_mail-1.0.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-mail\nVersion: 1.0.0\n")
    (broken / "entry_points.txt").write_text(f"[durable.plugins]\nmail = {value}\n")
    (tmp_path / "acme_mail").symlink_to(installed_mail / "acme_mail")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = durable(database, "supervise", "--workers", "1")
    assert done.returncode == 78, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "bad      plugins" in durable(database, "doctor").stdout


def test_a_plugin_that_is_not_installed_is_named(database: Database, mail: Mailbox) -> None:
    done = durable(database, "supervise", "--workers", "1", "--plugins", "mail,fax")
    assert done.returncode == 78
    assert "no installed package has the plugin 'fax' (installed: mail)" in done.stderr
