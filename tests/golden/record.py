"""Record journals of the engine as it is now: `python -m tests.golden.record`, once per release.

Writes `tests/golden/VERSION/WORKFLOW.json`, and the programs beside them. Nothing of an earlier version is touched.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from durable.version import __version__
from tests.engine.database import Database
from tests.engine.service import running_service
from tests.golden.journals import FOLDER, PROGRAMS, Golden
from tests.net.servers import response, saying, serving

SETTINGS = {"egress_allow": "127.0.0.1", "suspend_timeout": "0.2"}


def main() -> None:
    folder = FOLDER / __version__
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} has journals already; those of a released version are never made again")
    folder.mkdir(exist_ok=True)
    PROGRAMS.mkdir(exist_ok=True)
    with recording_service() as database:
        for task in launch_all(database):
            assert database.wait_for_end(task, 60) in ("complete", "failed"), database.failure(task)
            golden = exported(database, task)
            golden.save(folder)
            print(f"{golden.workflow}: {len(golden.events)} events, {golden.state}")


@contextmanager
def recording_service() -> Iterator[Database]:
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = EmbeddedServer(scratch / "postgres", fsync=False)
        server.ensure_running()
        stack.callback(server.stop, "fast")
        with psycopg.connect(server.url, autocommit=True) as connection:
            migrate(connection)
        database = Database(server.url)
        stack.callback(database.close)
        stack.enter_context(running_service(database, scratch / "cache", scratch / "log", workers=1, **SETTINGS))
        yield database


def launch_all(database: Database) -> Iterator[int]:
    """One task of each workflow below, with what it waits for."""
    dead = database.launch("noop", task_name="dead")
    database.wait_for_end(dead)
    with serving(saying(response(b"a body", headers=[("X-Twice", "1"), ("X-Twice", "2")]))) as server:
        for name, data in {
            "six-steps": None, "ten-events": None, "clocks": None, "wasi-tour": None, "print-in-transaction": None,
            "panic-in-transaction": None, "exit-code": {"code": 3}, "wait-timeout": {"ms": 700}, "c-hello": None,
            "rust-durable": {"text": "grüße", "n": 1.10}, "sleepy-sleep": {"seconds": 1},
            "notify-errors": {"dead": dead}, "use-http": {"url": server.url()},
            "http-steps": {"url": server.url(), "count": 3},
            "use-sql": {"sql": "SELECT 1.10::text, 'grüße' UNION ALL SELECT null, 'b' ORDER BY 2"},
        }.items():  # fmt: skip
            yield database.launch(name, data)
        waiting = database.launch("diverge-a")
        database.notify(waiting, "go", {"text": "\N{SNOWMAN}", "number": 2**63})
        yield waiting
        receiver = database.launch("collect", {"count": 3})
        yield database.launch("draw-and-notify", {"target": receiver})
        yield receiver


def exported(database: Database, task: int) -> Golden:
    ((name, data, created_at, state, wasm),) = database.query(
        "SELECT t.name, t.data::text, to_json(t.created_at) #>> '{}', t.state::text, w.wasm "
        "FROM durable.task t JOIN durable.wasm w ON w.id = t.wasm WHERE t.id = %s", task,
    )  # fmt: skip
    program = hashlib.sha256(wasm).hexdigest()
    (PROGRAMS / f"{program}.wasm").write_bytes(wasm)
    events = database.query(
        "SELECT index, label, value::text FROM durable.event WHERE task_id = %s ORDER BY index", task
    )
    logs = database.query("SELECT index, message FROM durable.log WHERE task_id = %s ORDER BY index", task)
    return Golden(name, program, task, name, data, created_at, state, [*events], [*logs])


if __name__ == "__main__":
    main()
