"""Sending notifications."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable import Client, InvalidTask, TaskEnded, TaskState, UnknownTask
from tests.client.databases import Worker

Sql = psycopg.Connection[TupleRow]
FINAL = [state for state in TaskState if state.is_final]


def test_notifications_are_kept_in_the_order_in_which_they_were_sent(client: Client, worker: Worker, sql: Sql) -> None:
    task_id = worker.task("active")

    client.notify(task_id, "first", {"n": 1})
    client.notify(task_id, "second")

    rows = sql.execute("SELECT event, data FROM durable.notification ORDER BY id").fetchall()
    assert rows == [("first", {"n": 1}), ("second", None)]


def test_a_notification_wakes_a_suspended_task(client: Client, worker: Worker) -> None:
    task_id = worker.task("suspended")

    client.notify(task_id, "wake up")

    assert client.task(task_id).state is TaskState.READY


def test_an_unknown_task_is_told_by_its_id(client: Client) -> None:
    calls: list[Callable[[int], object]] = [
        lambda task_id: client.notify(task_id, "e"),
        client.task,
        client.events,
        client.logs,
        lambda task_id: client.wait(task_id, timeout=1),
        lambda task_id: list(client.follow_logs(task_id)),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="'str' object cannot be interpreted as an integer"):
            call("7")  # type: ignore[arg-type]
    for task_id in (7, 0, -1, 2**63, 2**200):
        for call in calls:
            with pytest.raises(UnknownTask, match=f"^no task with id {task_id}$"):
                call(task_id)


def test_an_ended_task_takes_no_notification(client: Client, worker: Worker, sql: Sql) -> None:
    for state in FINAL:
        task_id = worker.task(state)
        with pytest.raises(TaskEnded, match=f"^task {task_id} is {state} and takes no more notifications$"):
            client.notify(task_id, "too late")

    assert sql.execute("SELECT count(*) FROM durable.notification").fetchone() == (0,)


def test_a_notification_in_a_transaction_is_sent_at_its_commit(url: str, worker: Worker, sql: Sql) -> None:
    task_id = worker.task()
    with Client(url) as client, psycopg.connect(url) as application:
        client.notify(task_id, "rolled back", connection=application)
        application.rollback()
        client.notify(task_id, "committed", connection=application)
        assert sql.execute("SELECT count(*) FROM durable.notification").fetchone() == (0,)
        application.commit()

    assert sql.execute("SELECT event FROM durable.notification").fetchall() == [("committed",)]


def test_a_sender_whose_transaction_stays_open_holds_nobody_up(url: str, worker: Worker) -> None:
    task_id = worker.task("active")
    with Client(url) as client, psycopg.connect(url) as application:
        client.notify(task_id, "later", connection=application)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SET lock_timeout = '100ms'")
            other.execute("UPDATE durable.task SET lease = lease + 1 WHERE id = %s", [task_id])
        application.commit()


def test_a_notification_beyond_the_limit_is_refused_and_one_at_the_limit_is_sent(url: str, worker: Worker) -> None:
    task_id = worker.task()
    with Client(url, max_notification_bytes=100) as client:
        client.notify(task_id, "1234567890", "é" * 44)
        with pytest.raises(InvalidTask, match="larger than max_notification_bytes"):
            client.notify(task_id, "1234567890", "é" * 44 + "x")
