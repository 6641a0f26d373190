"""What the exporter knows of the database: asked for in a thread of its own, so that no scrape ever waits for it."""

from __future__ import annotations

import logging
import time

import psycopg

from durable.store.problems import describe
from durable.store.task_counts import Connection, TaskCounts, count_tasks, open_connection, ping

_log = logging.getLogger("durable.exporter")

#: Seconds between two looks whether the database answers.
PING_EVERY = 5.0
#: Seconds between two counts of the tasks.
COUNT_EVERY = 15.0
#: Seconds without an answer, or without a new count, after which what was known is worth nothing any more.
TRUSTED_FOR = 45.0


class DatabaseWatch:
    """`run` in a thread; the rest may be asked from any."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._problem: str | None = "the database has not answered yet"
        self._no_counts: str | None = None
        self._answered_at = self._counted_at = float("-inf")
        self._counts: TaskCounts | None = None

    def run(self) -> None:
        """For ever."""
        while True:
            try:
                with open_connection(self._url) as connection:
                    self._watch(connection)
            except psycopg.Error as error:
                self._has_failed(f"the database does not answer: {describe(error)}")
            except Exception as error:  # out of memory, for instance: nobody else would ever look again
                self._has_failed(f"the database cannot be asked: {type(error).__name__}: {error}")
            time.sleep(1.0)

    @property
    def problem(self) -> str | None:
        """Why the database cannot be worked with, None when it answers."""
        silent = time.monotonic() - self._answered_at
        if self._problem is None and silent > TRUSTED_FOR:
            return f"the database has not answered for {silent:.0f} s"
        return self._problem

    @property
    def counts(self) -> TaskCounts | None:
        """None when nothing is known that is still worth something."""
        return self._counts if time.monotonic() - self._counted_at < TRUSTED_FOR else None

    def _watch(self, connection: Connection) -> None:
        while True:
            ping(connection)
            self._answered_at = time.monotonic()
            self._problem = None
            if time.monotonic() - self._counted_at >= COUNT_EVERY:
                self._count(connection)
            time.sleep(PING_EVERY)

    def _count(self, connection: Connection) -> None:
        try:
            self._counts = count_tasks(connection)
        except psycopg.Error as error:
            if connection.closed:
                raise
            # It answers, and so keeps nobody from working: a missing privilege, or a schema of another version.
            self._no_counts = _told_once(f"tasks cannot be counted: {describe(error)}", self._no_counts)
        else:
            self._counted_at = time.monotonic()
            self._no_counts = None

    def _has_failed(self, problem: str) -> None:
        self._problem = _told_once(problem, self._problem)


def _told_once(problem: str, before: str | None) -> str:
    if problem != before:
        _log.warning("%s", problem)
    return problem
