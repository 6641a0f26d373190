"""Plugins in the worker of an application: passed as objects, started, closed, and unable to do it any harm."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from durable import AsyncClient, config
from durable.errors import ConfigError, InvalidComponent, TryAgain
from durable.plugins import Call, Plugin, Resource, effect, local, pure
from durable.plugins.plugin import Readable
from tests.engine.database import Database, workflow
from tests.plugins.conftest import PLUGIN
from workers.worker import Worker

WELCOME = workflow("welcome")


class Draft(Resource):
    def __init__(self, mail: FakeMail) -> None:
        self.mail = mail

    def close(self) -> None:
        self.mail.happened.append("draft closed")


class FakeMail(Plugin):
    """`acme:mail/send` for a test: `send` does what the test says."""

    types: ClassVar[bytes | Readable] = PLUGIN / "acme_mail" / "mail.wasm"

    def __init__(self, send: Callable[[], Any] = lambda: "id") -> None:
        self.do_send = send
        self.happened: list[str] = []
        self.thread = 0

    async def start(self) -> None:
        self.happened.append("start")

    async def close(self) -> None:
        self.happened.append("close")

    @effect
    async def send(self, call: Call, message: Any) -> Any:
        self.thread = threading.get_ident()
        self.happened.append(f"send {message.subject}")
        return self.do_send()

    @local
    def quota(self, call: Call) -> int:
        return 1

    @pure
    def domain_of(self, call: Call, address: str) -> str:
        return "example.org"

    @pure("draft")
    def new_draft(self, call: Call, to: str) -> Draft:
        return Draft(self)

    @pure("draft.add-line")
    def add_line(self, call: Call, draft: Draft, line: str) -> None: ...

    @effect("draft.send")
    def send_draft(self, call: Call, draft: Draft, subject: str) -> Any:
        self.happened.append(f"draft sent {subject}")
        return self.do_send()


def settings(database: Database, cache_folder: Path, **more: object) -> config.Config:
    return config.load({"database_url": database.url, "cache_folder": str(cache_folder), **more}, {})


def run(database: Database, cache_folder: Path, plugins: Sequence[Plugin], *, tasks: int = 1) -> list[int]:
    """Run welcome tasks to their ends in an application with these plugins."""

    async def application() -> list[int]:
        async with (
            AsyncClient(database.url, plugins=plugins) as client,
            Worker(settings(database, cache_folder), plugins=plugins),
        ):
            program = await client.program(WELCOME)
            launched = [
                await client.launch(f"welcome {n}", program, {"to": "ada@example.org", "seconds": 0})
                for n in range(tasks)
            ]
            for task in launched:
                await client.wait(task, timeout=60)
            return launched

    return asyncio.run(application())


def test_an_application_passes_its_own_plugins(database: Database, cache_folder: Path) -> None:
    mail = FakeMail()
    [task] = run(database, cache_folder, [mail])
    assert database.state(task) == "complete"
    assert "welcome: sent as id\nreminder: sent as id\n" in database.log(task)
    assert mail.thread == threading.get_ident(), "an async function runs on the event loop"
    assert mail.happened == ["start", "send Welcome", "draft sent Are you there?", "draft closed", "close"]


def test_a_draft_is_closed_when_its_workflow_is_gone(database: Database, cache_folder: Path) -> None:
    attempts = iter(["id"])
    mail = FakeMail(lambda: next(attempts))  # StopIteration at the second
    [task] = run(database, cache_folder, [mail])
    assert database.state(task) == "failed"
    assert mail.happened[-3:] == ["draft sent Are you there?", "draft closed", "close"]


class Nameless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


BUGS: dict[str, BaseException] = {
    "two lines": ValueError("the disk\nis full"),
    "no text": ValueError("no file \udcff\0"),
    "no message": Nameless(),
    "exit": SystemExit(1),
    "cancelled": asyncio.CancelledError(),
}


@pytest.mark.parametrize("error", BUGS.values(), ids=BUGS)
def test_a_bug_of_a_plugin_fails_its_task_and_nothing_else(
    database: Database, cache_folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is logged is no text either, and pytest-xdist could not carry it.
    monkeypatch.setattr(logging.getLogger("durable"), "propagate", False)
    errors = [error]

    def send() -> str:
        if errors:
            raise errors.pop()
        return "id"

    first, second = run(database, cache_folder, [FakeMail(send)], tasks=2)
    assert sorted([database.state(first), database.state(second)]) == ["complete", "failed"]
    failed = first if database.state(first) == "failed" else second
    reason = database.failure(failed)
    assert reason.startswith(f"the plugin 'FakeMail' failed in acme:mail/send.send: {type(error).__name__}")
    assert "test_embedded_worker.py" in reason, "it does not say where"
    assert (
        database.value("SELECT index FROM durable.log WHERE task_id = %s AND index > 2147483000", failed) == 2**31 - 1
    )
    assert database.value("SELECT max(lease) FROM durable.task") == 1


def test_a_program_is_checked_against_what_the_client_was_given(database: Database) -> None:
    async def add() -> None:
        async with AsyncClient(database.url, plugins=[]) as client:
            await client.program(WELCOME)

    with pytest.raises(InvalidComponent, match="acme:mail/send"):
        asyncio.run(add())


def started(database: Database, cache_folder: Path, plugins: Sequence[Plugin]) -> None:
    async def application() -> None:
        async with Worker(settings(database, cache_folder), plugins=plugins):
            pass

    asyncio.run(application())


def test_a_plugin_that_does_not_fit_keeps_the_worker_from_starting(database: Database, cache_folder: Path) -> None:
    mail, other = FakeMail(), FakeMail()
    with pytest.raises(ConfigError, match="two plugins are called 'FakeMail'"):
        started(database, cache_folder, [mail, other])
    assert database.query("SELECT * FROM durable.worker") == []
    assert mail.happened == []


def test_a_plugin_that_does_not_start_closes_those_that_did(database: Database, cache_folder: Path) -> None:
    class Late(FakeMail):
        name = "late"
        types = b"\0asm\x0d\0\x01\0"
        send = quota = domain_of = new_draft = add_line = send_draft = None  # type: ignore[assignment]

        async def start(self) -> None:
            raise ConnectionRefusedError("nobody\nthere")

    mail, late = FakeMail(), Late()
    with pytest.raises(TryAgain, match=r"^the plugin 'late' cannot start: ConnectionRefusedError: nobody there$"):
        started(database, cache_folder, [mail, late])
    assert (mail.happened, late.happened) == (["start", "close"], [])


def test_a_plugin_that_fails_to_close_keeps_nothing_open(database: Database, cache_folder: Path) -> None:
    class Stuck(FakeMail):
        async def close(self) -> None:
            raise RuntimeError("stuck")

    started(database, cache_folder, [Stuck()])
    assert database.query("SELECT * FROM durable.worker") == []
