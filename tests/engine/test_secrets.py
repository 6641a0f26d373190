"""A password of a database URL, of an HTTP URL, and an Authorization header appear nowhere that people look."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database
from tests.engine.fetching import fetching
from tests.engine.service import Service
from tests.net.servers import response, saying, serving

DATABASE, HEADER, USER = "canary-database", "canary-header", "canary-user"
CANARIES = (DATABASE, HEADER, USER)
COMMANDS = [
    ["list"], ["workers"], ["doctor"], ["show", "1"], ["events", "1"], ["logs", "1"], ["wait", "1"],
    ["program", "list"], ["migrate"], ["launch", "t", "no-such-program"], ["supervise", "--workers", "1"],
]  # fmt: skip


def with_password(url: str) -> str:
    """Trusted logins ignore a password."""
    return f"{url}&password={DATABASE}" if "?" in url else f"{url}?password={DATABASE}"


def durable(url: str, *arguments: str, cache_folder: Path) -> str:
    """What a command says in all."""
    environment = {**os.environ, "DURABLE_DATABASE_URL": url, "DURABLE_CACHE_FOLDER": str(cache_folder)}
    done = subprocess.run(
        [sys.executable, "-m", "durable", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )
    return f"{done.args} {done.returncode}\n{done.stdout}{done.stderr}"


def assert_clean(text: str, where: str) -> None:
    for canary in CANARIES:
        assert canary not in text, f"{canary} is in {where}: …{text[max(text.find(canary) - 300, 0) :][:600]}"


def command_lines() -> str:
    def lines() -> Iterator[str]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue

    return "\n".join(lines())


def everything_stored(database: Database) -> str:
    """All rows of the schema but the programs, in which the author wrote the secret."""
    tables = [row[0] for row in database.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'durable' AND table_name <> 'wasm'"
    )]  # fmt: skip
    rows = [database.query(f"SELECT t::text FROM durable.{table} AS t") for table in tables]
    return repr(rows)


def requests_that_fail(database: Database, folder: Path, port: int) -> list[int]:
    """One that is answered, and one for each way in which a request goes wrong."""
    urls = [
        f"http://127.0.0.1:{port}/", f"http://{USER}:{USER}@127.0.0.1:{port}/", f"http://{USER}:{USER}@127.0.0.1:1/",
        f"http://{USER}:{USER}@10.0.0.1/", f"http://{USER}:{USER}@no-such-host.invalid/",
    ]  # fmt: skip
    tasks = []
    for number, url in enumerate(urls):
        (folder / str(number)).mkdir()
        program = database.program(fetching(url, folder / str(number), header=("authorization", HEADER)))
        tasks.append(database.value("INSERT INTO durable.task (name, wasm) VALUES ('t', %s) RETURNING id", program))
    return tasks


def test_no_secret_is_told(
    database: Database, start_service: StartService, cache_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = database.url
    monkeypatch.setattr(database, "url", with_password(plain))
    with serving(saying(response(b"no", status=401), response(b"yes"))) as server:
        service: Service = start_service(workers=1, log_level="debug", egress_allow="127.0.0.1")
        for task in requests_that_fail(database, tmp_path, server.port):
            database.wait_for_end(task)
        assert any(HEADER.encode() in value for one in server.requests for value in one.values("authorization"))
        assert_clean(command_lines(), "the process list")
    for command in COMMANDS[:-1]:
        assert_clean(durable(with_password(plain), *command, cache_folder=cache_folder), f"the output of {command}")
    assert_clean(everything_stored(database), "the database")
    service.stop()
    assert_clean(service.log, "the log of the service")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{DATABASE}@127.0.0.1:1/nothing",
        f"postgresql://me:{DATABASE}@no-such-host.invalid/nothing",
        f"postgresql://me:{DATABASE}@127.0.0.1:port/nothing",
        f"postgresql://me:{DATABASE}@127.0.0.1:1/nothing?no_such_setting=1",
        f"host=127.0.0.1 port=1 password={DATABASE} dbname",
    ],
)
def test_a_url_that_leads_nowhere_is_told_without_its_password(url: str, cache_folder: Path) -> None:
    for command in (["list"], ["doctor"], ["supervise", "--workers", "1"], ["migrate"]):
        said = durable(url, *command, cache_folder=cache_folder)
        assert " 0\n" not in said.splitlines()[0], said
        assert_clean(said, f"the output of {command}")


def test_a_login_that_is_refused_is_told_without_its_password(database: Database, cache_folder: Path) -> None:
    nobody = with_password(database.url) + "&user=nobody_here"
    for command in (["list"], ["doctor"], ["supervise", "--workers", "1"], ["migrate"]):
        assert_clean(durable(nobody, *command, cache_folder=cache_folder), f"the output of {command}")
