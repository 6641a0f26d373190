"""The database of a simulation: a real one, made for it and dropped after it, whose clock only the simulation moves."""

from __future__ import annotations

import gc
import secrets
import select
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from durable.errors import DatabaseUnavailable, DurableError
from durable.store import migrations
from durable.store.queries import load
from workers.simulation.answer import has_come_whole
from workers.simulation.used_sessions import UsedSessions

_SQL = load("simulation")
_TASK = load("task")
#: 2030-01-01T00:00:00Z in microseconds since the Unix epoch: when every run begins.
BEGINNING = 1_893_456_000_000_000
_PATIENCE = 0.002  # real seconds after which a statement that has not answered may be waiting for a lock
_BRIEFLY = 0.0005  # real seconds between two looks at a session that is about to end or to rest
_HANGS = 60.0

#: One hint as a listener gets it: channel and payload.
Hint = tuple[str, str]


@contextmanager
def scratch_database(server_url: str) -> Iterator[SimulatedDatabase]:
    """A new database on this server, dropped at the end. Nothing else on the server is touched.

    Raises DatabaseUnavailable when the server cannot be reached, or the login may not make databases.
    """
    name = f"durable_simulation_{secrets.token_hex(6)}"
    identifier = sql.Identifier(name)
    try:
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"a database to simulate in cannot be made: {str(error).strip()}\n"
            "give --database-url a server and a login that may create databases"
        ) from None
    try:
        database = SimulatedDatabase(make_conninfo(server_url, dbname=name))
        try:
            yield database
        finally:
            database.close()
    finally:
        # An attempt to connect that was given up keeps its socket as long as the traceback of its end is there, and the
        # server drops no database before everybody who is in the middle of a login has been heard: a minute or so.
        gc.collect()
        with psycopg.connect(server_url, autocommit=True) as server:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


class SimulatedDatabase:
    """An empty database to run simulations in, one after the other. `now` is its time, in microseconds since 1970."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.used_sessions = UsedSessions(url)
        self._connection = psycopg.connect(url, autocommit=True)
        self._hints: list[Hint] = []
        self.now = BEGINNING
        migrations.migrate(self._connection)
        self._connection.execute(_statement("prepare"))
        self._connection.add_notify_handler(lambda note: self._hints.append((note.channel, note.payload)))
        self._connection.execute('LISTEN "durable:task"')
        self._connection.execute('LISTEN "durable:notification"')

    def begin(self, after: float = 0.0) -> None:
        """Forget the last run. Time begins so many seconds after BEGINNING."""
        self._connection.execute(_statement("forget"))
        self.now = BEGINNING + int(after * 1_000_000)
        self.execute("begin_time", {"now": self.now})
        self.hints()

    def set_time(self, now: int) -> None:
        if now != self.now:
            self.now = now
            self.execute("set_time", {"now": now})

    def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[TupleRow]:
        """Run a query of `simulation.sql` and commit it; its rows."""
        cursor = self._connection.execute(_statement(query), parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []

    def execute_on(
        self, connection: psycopg.Connection[TupleRow], query: str, parameters: Mapping[str, Any]
    ) -> psycopg.Cursor[TupleRow]:
        """Run a query of `simulation.sql` in somebody's transaction."""
        return connection.execute(_statement(query), parameters)

    def operate(self, query: str, parameters: Mapping[str, Any]) -> bool:
        """Do what an operator does with a task: a query of `task.sql`.

        False: the row is locked, by a transaction that cannot go on before this returns; an operator would wait.
        """
        try:
            with self._connection.transaction():
                self._connection.execute("SET LOCAL lock_timeout = '20ms'")
                self._connection.execute(_TASK[query], parameters)
        except psycopg.errors.LockNotAvailable:
            return False
        return True

    def set_up(self, script: str) -> None:
        """Run SQL of whoever simulates, in a schema `public` that is empty. Raises DurableError for bad SQL."""
        self._connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        self._connection.execute("CREATE SCHEMA public")
        try:
            self._connection.execute(script)
        except psycopg.Error as error:
            raise DurableError(str(error).strip()) from error

    def hints(self) -> list[Hint]:
        """What was notified since the last time. The server hands over what was committed with the next answer."""
        for _ in range(2):  # what comes at the very end of an answer psycopg hands over with the next one
            self._connection.execute("SELECT 1", prepare=True)
        hints, self._hints = self._hints, []
        return hints

    def snapshot(self) -> dict[str, Any]:
        return cast(dict[str, Any], self.execute("snapshot")[0][0])

    def data_of(self, task_id: int) -> str:
        """The data of a task, as its workflow reads it."""
        return str(self.execute("data_of", {"task": task_id})[0][0])

    def connect(self) -> psycopg.Connection[TupleRow]:
        """A session of its own, for an application that keeps a transaction open."""
        return psycopg.connect(self.url)

    def close(self) -> None:
        self.used_sessions.close()
        self._connection.close()

    # -- what the server is at ---------------------------------------------------------------------------------------
    def settle(self, waiting: Mapping[int, int | None], cancelled: Mapping[int, int], gone: set[int]) -> set[int]:
        """Wait until no statement is under way any more; the descriptors whose answers have come, whole.

        `waiting` maps descriptors that wait for an answer to the process of their session, None while it begins. Those
        left out of the result wait for a lock. `cancelled` maps sessions whose statement is being cancelled to the
        descriptor of who asks for it. `gone` are sessions whose client is no more; those that have ended are taken out.
        """
        began = time.monotonic()
        while True:
            answered = _readable(waiting)
            late = {descriptor: session for descriptor, session in waiting.items() if descriptor not in answered}
            elapsed = time.monotonic() - began
            is_patient = late and not gone and elapsed < _PATIENCE
            if not is_patient:
                have_answered = {waiting[one] for one in answered if not has_come_whole(one)} - {None}
                told = {session for session, who_asks in cancelled.items() if who_asks in answered}
                if self._is_settled(have_answered, set(late.values()), cancelled.keys() - told, told, gone):
                    return answered
            if elapsed > _HANGS:
                raise TimeoutError(f"PostgreSQL has not answered for {_HANGS:g} s: {sorted(map(str, late.values()))}")
            if late:
                _wait_for_any(late, _PATIENCE)
            else:
                time.sleep(_BRIEFLY)

    def _is_settled(
        self, answered: set[int | None], late: set[int | None], asked: set[int], told: set[int], gone: set[int]
    ) -> bool:
        """Whether nobody goes on by itself. An answer may come in pieces, that of a statement that fails always does.

        In this order: once those who have answered are at rest and the gone ended, who waits for a lock waits on.
        """
        at_work = self._at_work((answered | asked | told) - gone)
        if at_work - asked:
            return False
        if gone:
            gone &= {row[0] for row in self.execute("alive", {"pids": list(gone)})}
        stuck = late | at_work | gone
        return stuck <= self._blocked(stuck - {None})

    def _at_work(self, sessions: set[int | None]) -> set[int | None]:
        return {row[0] for row in self.execute("at_work", {"pids": list(sessions)})} if sessions else set()

    def _blocked(self, sessions: set[int | None]) -> set[int | None]:
        return {row[0] for row in self.execute("blocked", {"pids": list(sessions)})} if sessions else set()


def _statement(name: str) -> str:
    return _SQL[name]


def _readable(descriptors: Iterable[int]) -> set[int]:
    return _wait_for_any(descriptors, 0)


def _wait_for_any(descriptors: Iterable[int], seconds: float) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
