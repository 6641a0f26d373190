"""What an earlier version recorded, this one replays byte for byte: tasks in flight survive an upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from wasmtime import component as wc

from durable.config import Config
from durable.execution.outcome import Outcome
from durable.execution.run import Run
from durable.execution.tail import Tail
from durable.host.functions import host_functions
from durable.journal import labels
from durable.journal.part import JournalPart
from durable.model import FAILURE_LOG_INDEX, ClaimedTask, Event, Notification, TaskState
from durable.runner import Runner
from durable.timing import DatabaseClock
from durable.wasm.cache import ComponentCache
from durable.wasm.engine import EpochTicker, new_engine
from durable.wasm.fiber import GuestLimits
from durable.wasm.inspect import compile_component
from durable.wasm.linker import Linker
from durable.wasm.program import Program
from durable.wasm.world import World, world_bytes
from tests.engine.conftest import StartService
from tests.engine.database import Database, workflow
from tests.golden.journals import FOLDER, Golden, load, paths

Rows = Sequence[tuple[object, ...]]


def named(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


# -- one guest over a recorded journal, and nothing else -------------------------------------------------------------
class Recorded:
    """Only the journal can be read. What the guest prints is kept by the index of the write that printed it."""

    def __init__(self, golden: Golden) -> None:
        self.golden = golden
        self.written: list[JournalPart] = []
        self.tail = Tail(golden.task_id, 1, self)
        created = datetime.fromisoformat(golden.created_at)
        task = ClaimedTask(golden.task_id, golden.task_name, golden.data, created, 1, 1, len(golden.events), None, None)
        self.run = Run(task, Config(), self.tail, DatabaseClock(), self)
        self.printed: list[tuple[int, str]] = []

    def listen(self) -> None:
        decode = self.run.decode_output

        def heard(stream: str, data: bytes) -> str:
            text = decode(stream, data)
            self.printed.append((self.run.cursor.index, text))
            return text

        self.run.decode_output = heard  # type: ignore[method-assign]

    async def events(self, task_id: int, first: int) -> list[Event]:
        return self.golden.journal[first : first + 100]

    async def notifications(self, task_id: int) -> list[Notification]:
        raise AssertionError("it looked for notifications that its journal has")

    async def task_state(self, task_id: int) -> TaskState | None:
        raise AssertionError("it looked at a task although the answer is in its journal")

    async def task_data(self, task_id: int, limit: int) -> str | None:
        raise AssertionError("it has its data")

    def notice(self, tail: Tail) -> None:
        pass

    def hurry(self) -> None:
        part = self.tail.cut()
        if part is not None:
            self.written.append(part)
        self.tail.committed(self.tail.added)


class Machine:
    """What a worker makes to run guests."""

    def __init__(self, cache_folder: Path) -> None:
        self.engine = new_engine()
        self.world = World(wc.Component(self.engine, world_bytes()), self.engine)
        self.ticker = EpochTicker(self.engine, 0.01)
        self._cache = ComponentCache(self.engine, cache_folder)
        linker = Linker(self.engine, self.world, host_functions(self.world))
        self._runner = Runner(linker, self.ticker, GuestLimits(memory=256 << 20, cpu=60))

    def replay(self, recorded: Recorded) -> Outcome:
        golden = recorded.golden
        component = self._cache.load(golden.program, lambda: compile_component(self.engine, golden.wasm))
        recorded.listen()
        return asyncio.run(self._runner.run(recorded.run, Program(component, self.engine, self.world)))


@pytest.fixture(scope="module")
def machine(cache_folder: Path) -> Machine:
    return Machine(cache_folder)


@pytest.mark.parametrize("path", paths(), ids=named)
def test_the_guest_is_told_what_it_was_told_then(machine: Machine, path: Path) -> None:
    """It takes every event, adds none, prints the very text of its log and ends the same way."""
    recorded = Recorded(load(path))
    golden = recorded.golden
    outcome = machine.replay(recorded)
    assert str(outcome.state) == golden.state, outcome.reason
    assert recorded.run.replayed == len(golden.events)
    asyncio.run(recorded.tail.durable())
    assert [part.events for part in recorded.written if part.events] == []
    writes = {index for index, label, _ in golden.events if label == labels.WRITE}
    printed = [(index, text) for index, text in recorded.printed if index in writes and text]
    assert printed == [(index, text) for index, text in golden.logs if index in writes]


# -- the real service ------------------------------------------------------------------------------------------------
def restore(database: Database, golden: Golden, wasm: bytes, task: int) -> None:
    """The task as it was before it ended: with its whole journal, paused."""
    program = database.value(
        "INSERT INTO durable.wasm (hash, wasm) VALUES (sha256(%s), %s) "
        "ON CONFLICT (hash) DO UPDATE SET last_used = durable.now() RETURNING id", wasm, wasm,
    )  # fmt: skip
    database.query(
        "INSERT INTO durable.task (id, name, wasm, data, created_at, state) VALUES (%s, %s, %s, %s, %s, 'paused')",
        task, golden.task_name, program, golden.data, golden.created_at,
    )  # fmt: skip
    known = {index for index, _, _ in golden.events}
    for index, label, value in golden.events:
        database.query("INSERT INTO durable.event VALUES (%s, %s, 'epoch', %s, %s)", task, index, label, value)
    for index, message in golden.logs:
        if index in known:  # the others are written when it ends
            database.query("INSERT INTO durable.log VALUES (%s, %s, %s, 'epoch')", task, index, message)


def history(database: Database, task: int) -> Rows:
    return database.query(
        "SELECT index, label, value::text, created_at FROM durable.event WHERE task_id = %s ORDER BY index", task
    )


def test_the_service_goes_on_with_every_recorded_task_and_changes_none(
    database: Database, start_service: StartService
) -> None:
    golden = {number: load(path) for number, path in enumerate(paths(), 1)}
    for number, one in golden.items():
        restore(database, one, one.wasm, number)
    before = {number: history(database, number) for number in golden}
    database.query("UPDATE durable.task SET state = 'ready'")
    start_service(workers=1)
    for number, one in golden.items():
        assert database.wait_for_end(number, 90) == one.state, f"{one.workflow}: {database.failure(number)}"
        assert history(database, number) == before[number], one.workflow
        assert [(index, label, value) for index, label, value, _ in before[number]] == one.events, one.workflow
        logs = database.query("SELECT index, message FROM durable.log WHERE task_id = %s ORDER BY index", number)
        # The reason of a failure has a backtrace, in the words of the engine that ran it.
        assert [log for log in logs if log[0] < FAILURE_LOG_INDEX] == [
            log for log in one.logs if log[0] < FAILURE_LOG_INDEX
        ], one.workflow
    assert database.query("SELECT * FROM durable.notification") == [], "something was sent again"


def test_another_program_diverges_by_name_and_leaves_the_journal_untouched(
    database: Database, start_service: StartService
) -> None:
    start_service(workers=1)
    for number, path in enumerate(FOLDER.glob("*/diverge-a.json"), 1):
        golden = load(path)
        restore(database, golden, workflow("diverge-b").read_bytes(), number)
        before = history(database, number)
        database.query("UPDATE durable.task SET state = 'ready' WHERE id = %s", number)
        assert database.wait_for_end(number) == "quarantined"
        assert database.failure(number) == (
            'workflow execution is non-deterministic: stored event at index 1 has label "b" '
            'but the workflow requested "x"'
        )
        assert history(database, number) == before
        assert database.value("SELECT lease FROM durable.task WHERE id = %s", number) == 1, "it was tried again"


def test_every_version_has_journals_of_every_kind_of_call() -> None:
    kinds = {value for name, value in vars(labels).items() if name.isupper()} | {"sql", "get"}
    rare = {labels.POLL, labels.POLLABLE_READY, labels.INSECURE_RANDOM_BYTES, labels.RANDOM_BYTES}
    for version in {path.parent for path in paths()}:
        used = {label for path in version.glob("*.json") for _, label, _ in load(path).events}
        assert kinds - rare <= used, version.name
