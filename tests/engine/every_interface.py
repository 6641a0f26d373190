"""The workflow that uses every interface, and what must be true of it whatever died on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.engine.database import Database
from tests.net.servers import Behaviour, Server, response, saying, serving

SETTINGS = {"egress_allow": "127.0.0.1", "suspend_timeout": "0.2", "poll_interval": "0.2", "heartbeat_interval": "0.3"}

#: The points that one run of it passes.
EVERY_INTERFACE = (
    "claim.done", "heartbeat.done", "event.added", "append.before", "append.done", "inbox.read", "request.before",
    "response.here", "sql.begun", "record.before", "commit.done", "suspend.before", "suspend.done",
    "finish.before", "finish.done",
)  # fmt: skip

LABELS = [
    "wasi:io/streams.output-stream.write",
    "wasi:clocks/wall-clock.now",
    "wasi:random/random.get-random-u64",
    "sql",
    "post",
    "durable:core/notify.notify",
    "durable:core/notify.notification-blocking",
    "durable:core/notify.notification-blocking-timeout",
    "wasi:clocks/monotonic-clock.now",
    "wasi:io/poll.pollable.block",
    "wasi:io/streams.output-stream.write",
]


@dataclass
class Witness:
    """What the outside sees: a table without a key, and a server that counts."""

    database: Database
    server: Server

    def launch(self) -> int:
        return self.database.launch("every-interface", {"url": self.server.url(), "table": "public.seen"})

    def assert_whole(self, task: int, crashes: int = 1) -> None:
        """Journal, log, table, requests and messages are those of one run."""
        database = self.database
        assert database.state(task) == "complete", database.failure(task)
        assert database.labels(task) == LABELS
        database.assert_dense(task)
        number = database.value("SELECT value::text FROM durable.event WHERE task_id = %s AND index = 2", task)
        assert database.query("SELECT number::text FROM seen WHERE task = %s", task) == [(number,)]
        posted = [request.body.decode() for request in self.server.requests]
        mine = [body for body in posted if body.split()[0] == str(task)]
        assert set(mine) == {f"{task} {number}"}, "a request told of a number that was lost"
        assert len(mine) <= 1 + crashes
        assert database.query("SELECT * FROM durable.notification WHERE task_id = %s", task) == []
        logs = database.query("SELECT index, message FROM durable.log WHERE task_id = %s ORDER BY index", task)
        assert logs == [(0, "started\n"), (3, "in the table\n"), (10, f"{number} 200 {number}\n")]


@contextmanager
def witness(database: Database, behave: Behaviour | None = None) -> Iterator[Witness]:
    database.query("CREATE TABLE public.seen (task bigint, number numeric)")
    with serving(behave or saying(response(b"thanks"))) as server:
        yield Witness(database, server)
