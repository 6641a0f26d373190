"""What the keeper says and how long it waits when a server does not start."""

from __future__ import annotations

import logging

import psycopg
import pytest

from durable.embedded import EmbeddedPostgresError, EmbeddedServer
from tests.embedded.test_embedded_crashes import kill
from workers.keeper_process import LONGEST_PAUSE, LOOK_EVERY, Watch


def test_a_start_that_fails_is_told_once_and_tried_less_and_less_often(
    copy: EmbeddedServer, caplog: pytest.LogCaptureFixture
) -> None:
    copy.ensure_running()
    kill(copy)
    settings = copy.data_folder / "cluster" / "postgresql.conf"
    good = settings.read_text()
    settings.write_text(f"{good}\nshared_buffers = nonsense\n")
    watch = Watch(copy.revive)
    pauses = []
    for _ in range(3):
        watch.look()
        pauses.append(watch.pause)
    assert pauses == [2 * LOOK_EVERY, 4 * LOOK_EVERY, 8 * LOOK_EVERY]
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert "cannot be started; trying again: PostgreSQL did not start: " in record.getMessage()
    assert "\n" not in record.getMessage()

    settings.write_text(good)
    watch.look()
    assert watch.pause == LOOK_EVERY
    assert caplog.records[1:] and "was started again" in caplog.records[-1].getMessage()
    psycopg.connect(copy.url).close()


def test_pauses_have_an_end_and_another_reason_is_told(caplog: pytest.LogCaptureFixture) -> None:
    reasons = iter(["the disk is full"] * 10 + ["no memory"])

    def fail() -> bool:
        raise EmbeddedPostgresError(next(reasons))

    watch = Watch(fail)
    for _ in range(11):
        watch.look()
    assert watch.pause == LONGEST_PAUSE
    assert ["no memory" in record.getMessage() for record in caplog.records] == [False, True]


def test_a_reason_that_differs_in_numbers_alone_is_the_same(caplog: pytest.LogCaptureFixture) -> None:
    pids = iter(range(4242, 4252))

    def fail() -> bool:
        raise EmbeddedPostgresError(f'could not write to file "pg_wal/xlogtemp.{next(pids)}": No space left on device')

    watch = Watch(fail)
    for _ in range(10):
        watch.look()
    [record] = caplog.records
    assert "xlogtemp.4242" in record.getMessage()
