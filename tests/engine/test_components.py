"""Components that no SDK of this project made run unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import COMPONENTS, Database

# What each prints, in order; values that differ from run to run are left out.
EXPECTED = {
    "c-hello": ["hello from C, task {id} c-hello", "now=", "random="],
    "go-hello": ["hello from go {id} go1.26", "name go-hello", "slept 1.0"],
    "rust-durable": ["hello from rust guest {id} rust-durable data=null", 'step: Step { n: 7, who: "rust" }', "now="],
    "rust-durable-p1-wasi020": [
        "hello from rust guest {id} rust-durable-p1-wasi020 data=null",
        'step: Step { n: 7, who: "rust" }',
        "now=",
    ],
    "rust-hello": ["hello from rust", "args: []", "slept_ms=1", "random=", 'map=[("a", 1), ("b", 2)] env_HOME=None'],
    "rust-hello-p1-wasi020": ["hello from rust", "args: []", "slept_ms=1", "random=", 'map=[("a", 1), ("b", 2)]'],
}


def test_they_all_complete_with_their_output_in_the_log(database: Database, start_service: StartService) -> None:
    start_service(workers=2)
    tasks = {name: database.launch(name) for name in EXPECTED}
    for name, task in tasks.items():
        assert database.wait_for_end(task, 60) == "complete", database.failure(task)
        database.assert_dense(task)
        rest = database.log(task)
        for text in EXPECTED[name]:
            head, found, rest = rest.partition(text.replace("{id}", str(task)))
            assert found, f"{name} did not print {text!r} after {head!r}"


@pytest.mark.parametrize("line", (COMPONENTS / "SHA256SUMS").read_text().splitlines())
def test_they_are_the_files_that_were_handed_over(line: str) -> None:
    digest, name = line.split()
    assert hashlib.sha256(Path(COMPONENTS / name).read_bytes()).hexdigest() == digest
