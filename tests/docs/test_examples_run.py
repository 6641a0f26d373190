"""What the documents tell people to run runs: the Python in them, the demo, the example application."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, blocks, name_of
from tests.engine.database import Database
from tests.engine.service import running_service

CLIENT = ROOT / "docs" / "python-client.md"
DEMO = ROOT / "examples" / "demo.py"
APPLICATION = ROOT / "examples" / "embedded-worker" / "app.py"
WRITTEN_URL = "postgresql://durable@db.example.com/durable"
#: What the document's launch_once promises to callers that do not wait for each other.
AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(8) as callers:
    ids = {*callers.map(lambda _: launch_once("invoice 8", None), range(32))}
assert ids == {task.id for task in client.tasks(name_glob="payment invoice 8")}
print(len(ids), "task")
"""


def _run(arguments: Sequence[str | Path], database_url: str, cache_folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DURABLE_DATABASE_URL": database_url, "DURABLE_CACHE_FOLDER": str(cache_folder)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90)


def test_the_python_of_the_client_document_runs_from_top_to_bottom(
    database_url: str, cache_folder: Path, tmp_path: Path
) -> None:
    script = "\n".join([*blocks(CLIENT, "python"), AT_ONCE, "client.close()"])
    assert WRITTEN_URL in script
    with closing(Database(database_url)) as database, running_service(database, cache_folder, tmp_path / "service.log"):
        ran = _run(["-W", "error", "-c", script.replace(WRITTEN_URL, database_url)], database_url, cache_folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert "Hello, order 17!" in lines
    assert "got task-exit: 1.10" in lines
    assert lines.count("complete") == 5
    assert lines[-1] == "1 task"


def test_the_example_application_runs_its_tasks_itself(database_url: str, cache_folder: Path) -> None:
    ran = _run([APPLICATION], database_url, cache_folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    for order in ("a teapot", "two cups", "a spoon"):
        lines = [line for line in ran.stdout.splitlines() if line.startswith(f"{order}: ")]
        assert lines == [
            f'{order}: got paid: {{"item": "{order}"}}',
            f"{order}: got task-exit: null",
            f"{order}: complete",
        ]


def test_the_demo_keeps_its_promises_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, DEMO], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, timeout=110
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith("Everything was as promised.\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, DEMO],
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("1."):  # the database is being made
                break
        demo.send_signal(signal.SIGINT)
        said = demo.stdout.read()
    assert demo.returncode == 130, said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("document", [one for one in DOCUMENTS if blocks(one, "python")], ids=name_of)
def test_the_python_in_the_documents_is_python(document: Path) -> None:
    for number, block in enumerate(blocks(document, "python")):
        compile(block, f"{name_of(document)}, block {number}", "exec")
