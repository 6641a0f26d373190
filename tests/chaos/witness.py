"""What the world outside saw of tasks that run tests/workflows-chaos `witnessed`: three witnesses that no engine can
talk into anything.

A table of the application, in which nothing is unique; the log of an HTTP server on loopback; and the ledger of whoever
launched the tasks: what was acknowledged to him, and what he told them.
"""

from __future__ import annotations

import itertools
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import durable
from durable.model import Program
from tests.engine.database import Database, workflow
from tests.net.servers import Received, Server, response, serving

STEPS = 5
WAIT_AFTER = 2

_TABLE = """
CREATE SCHEMA witness;
CREATE TABLE witness.step (
    task bigint, step integer, seconds bigint, number bigint, lease bigint, at timestamptz DEFAULT clock_timestamp()
);
CREATE INDEX ON witness.step (task);
"""


class Post(NamedTuple):
    """One request as it came in: when, by the monotonic clock; what it said; and which service sent it, if it tells."""

    at: float
    task: int
    step: int
    seconds: int
    number: int
    sender: str


@dataclass
class Receiver:
    """Answers each request after `pause` seconds, and remembers all."""

    pause: float = 0.0
    #: The services of a test can be told apart by the name of the header that carries the key of a request.
    sender_headers: tuple[str, ...] = ()
    posts: list[Post] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Received, connection: socket.socket) -> bool:
        said = json.loads(request.body)
        sender = next((name for name in self.sender_headers if request.values(name)), "")
        with self._lock:
            self.posts.append(Post(time.monotonic(), **said, sender=sender))
        if self.pause:
            time.sleep(self.pause)
        connection.sendall(response(b"{}"))
        return True

    def seen(self) -> list[Post]:
        with self._lock:
            return list(self.posts)


@dataclass
class Ledger:
    """What the clients know.

    `launches`: the id of each task by its name, None unless it was acknowledged. `told`: what each task was told.
    """

    launches: dict[str, int | None] = field(default_factory=dict)
    told: dict[int, set[int]] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        return sum(task is not None for task in list(self.launches.values()))

    @property
    def in_doubt(self) -> int:
        """Launches that failed: perhaps they took place."""
        return len(self.launches) - self.acknowledged


class Crowd:
    """The clients: they launch tasks, and tell each of them, once at least, that it may go on."""

    def __init__(self, database: Database, server: Server, chance: random.Random) -> None:
        self.ledger = Ledger()
        self._database = database
        self._client = durable.Client(database.url)
        self._chance = chance
        self._data = {"url": server.url("/"), "steps": STEPS, "wait_after": WAIT_AFTER}
        self._numbers = itertools.count(1)
        self._known: set[int] = set()
        self._to_tell: list[tuple[float, int]] = []

    def launch(self, count: int) -> list[int]:
        """The ids, none when nobody knows whether they exist."""
        names = [f"witnessed {next(self._numbers)}" for _ in range(count)]
        self.ledger.launches.update(dict.fromkeys(names))
        try:
            ids = self._client.launch_many(workflow("witnessed"), [(name, self._data) for name in names])
        except durable.DurableError:
            return []
        self.ledger.launches.update(zip(names, ids, strict=True))
        return ids

    def launch_one(self, name: str, program: Program, client: durable.Client) -> None:
        """By somebody else, in any thread. The name is that of no other task."""
        self.ledger.launches[name] = None
        with suppress(durable.DurableError):
            self.ledger.launches[name] = client.launch(name, program, self._data)

    def tell(self, within: float = 2.0) -> None:
        """Send what is due: each new task gets its notification at a random moment of so many seconds."""
        now = time.monotonic()
        # Not those after the last one known: a launch that began earlier may be committed later.
        unfinished = "SELECT id FROM durable.task WHERE state IN ('ready', 'active', 'suspended') ORDER BY id"
        for (task,) in self._database.query(unfinished):
            if task not in self._known:
                self._known.add(task)
                self._to_tell.append((now + self._chance.uniform(0, within), task))
        due = [task for at, task in self._to_tell if at <= now]
        self._to_tell = [(at, task) for at, task in self._to_tell if at > now]
        for task in due:
            self._send(task)

    def has_told_all(self) -> bool:
        return not self._to_tell

    def close(self) -> None:
        self._client.close()

    def _send(self, task: int) -> None:
        number = self._chance.randrange(2**32)
        told = self.ledger.told.setdefault(task, set())
        told.add(number)
        try:
            self._client.notify(task, "go", number)
        except durable.TaskEnded:
            return  # an earlier one had been sent, although nobody knew
        except durable.DurableError:
            # Perhaps it was sent. It is sent again, and the task takes one of them.
            self._to_tell.append((time.monotonic() + 0.5, task))


@dataclass
class Witnesses:
    database: Database
    receiver: Receiver
    crowd: Crowd

    def unfinished(self) -> int:
        return int(
            self.database.value("SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active', 'suspended')")
        )


@contextmanager
def witnesses(database: Database, chance: random.Random, receiver: Receiver | None = None) -> Iterator[Witnesses]:
    database.query(_TABLE)
    receiver = receiver or Receiver()
    with serving(receiver) as server:
        crowd = Crowd(database, server, chance)
        try:
            yield Witnesses(database, receiver, crowd)
        finally:
            crowd.close()
