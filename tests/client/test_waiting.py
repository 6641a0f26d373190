"""Waiting for tasks and following their logs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from durable import AsyncClient, Client, TaskFailed, TaskState, UnknownTask, WaitTimeout
from durable.drivers.blocking import MAX_LISTENERS
from durable.embedded import EmbeddedServer
from durable.model import CRASH_LOG_INDEX, FAILURE_LOG_INDEX
from durable.operations.reading import EVENT_PAGE, LOG_PAGE
from tests.client.databases import Worker, until_somebody_listens
from tests.engine.database import wait_until

Sql = psycopg.Connection[TupleRow]
BAD_ENDS = [state for state in TaskState if state.is_ended and state is not TaskState.COMPLETE]


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do the work in another thread, and see its errors."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join()
    assert not errors


def test_waiting_for_an_ended_task_returns_at_once_and_listens_to_nothing(client: Client, worker: Worker) -> None:
    for state in ("complete", *BAD_ENDS):
        assert client.wait(worker.task(state), timeout=0).state == state

    assert worker.sql.execute("SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%'").rowcount == 0


def test_the_end_of_a_task_is_noticed_without_waiting_for_the_poll(client: Client, worker: Worker) -> None:
    task_id = worker.task("active")
    ended: list[float] = []

    def end() -> None:
        until_somebody_listens(worker.sql)
        time.sleep(0.1)
        ended.append(time.monotonic())
        worker.end(task_id)

    with meanwhile(end):
        task = client.wait(task_id, timeout=20)

    assert task.state is TaskState.COMPLETE
    assert task.completed_at is not None
    assert time.monotonic() - ended[0] < 0.6


def test_the_end_of_a_task_is_noticed_with_every_notify_dropped(client: Client, worker: Worker) -> None:
    worker.drop_hints()
    task_id = worker.task("active")

    def end() -> None:
        until_somebody_listens(worker.sql)
        worker.end(task_id, "failed")

    with meanwhile(end):
        assert client.wait(task_id, timeout=20).state is TaskState.FAILED


def test_a_wait_gives_up_after_its_timeout_and_the_task_goes_on(client: Client, worker: Worker) -> None:
    task_id = worker.task("suspended")
    began = time.monotonic()

    with pytest.raises(WaitTimeout, match=f"task {task_id} is still suspended"):
        client.wait(task_id, timeout=0.3)

    assert 0.3 <= time.monotonic() - began < 2


def test_a_failed_task_raises_with_the_beginning_of_the_reason_when_it_is_asked_to(
    client: Client, worker: Worker
) -> None:
    for state in BAD_ENDS:
        task_id = worker.task(state)
        worker.print(task_id, FAILURE_LOG_INDEX, "the cat is on the roof\n  0: wasm backtrace\n")
        with pytest.raises(TaskFailed, match=f"^task {task_id} {state}: the cat is on the roof\n.*durable logs"):
            client.wait(task_id, raise_on_failure=True)

    assert client.wait(worker.task("complete"), raise_on_failure=True).state is TaskState.COMPLETE


def test_a_wait_outlasts_a_restart_of_the_database(client: Client, worker: Worker, server: EmbeddedServer) -> None:
    task_id = worker.task("active")

    def restart_and_end() -> None:
        until_somebody_listens(worker.sql)
        server.restart("immediate")
        with psycopg.connect(worker.sql.info.dsn, autocommit=True) as sql:
            Worker(sql).end(task_id)

    with meanwhile(restart_and_end):
        assert client.wait(task_id, timeout=30).state is TaskState.COMPLETE


def test_many_coroutines_wait_on_few_connections(url: str, worker: Worker, loop: Any) -> None:
    task_ids = [worker.task("active") for _ in range(200)]

    async def wait_for_all() -> int:
        async with AsyncClient(url) as client:
            waits = [asyncio.create_task(client.wait(task_id, timeout=30)) for task_id in task_ids]
            await asyncio.sleep(0.5)
            connections = worker.sql.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            worker.sql.execute("UPDATE durable.task SET state = 'complete'")
            assert {task.state for task in await asyncio.gather(*waits)} == {TaskState.COMPLETE}
            return connections[0] if connections else -1

    assert loop.run(wait_for_all()) <= 6


def test_more_threads_than_listeners_may_wait(url: str, worker: Worker) -> None:
    task_ids = [worker.task("active") for _ in range(MAX_LISTENERS + 2)]
    with Client(url) as client:
        threads = [threading.Thread(target=client.wait, args=[task_id, 20]) for task_id in task_ids]
        for thread in threads:
            thread.start()
        until_somebody_listens(worker.sql)
        worker.sql.execute("UPDATE durable.task SET state = 'complete'")
        for thread in threads:
            thread.join(10)

        assert not any(thread.is_alive() for thread in threads)


def test_a_journal_of_more_than_a_page_is_read_in_order(client: Client, worker: Worker, sql: Sql) -> None:
    task_id = worker.task()
    sql.execute(
        "INSERT INTO durable.event SELECT %s, n, durable.now(), 'label ' || n, to_jsonb(n) "
        "FROM generate_series(0, %s) AS n",
        [task_id, EVENT_PAGE * 2],
    )

    found = client.events(task_id)

    assert [(event.index, event.label, event.value) for event in found] == [
        (n, f"label {n}", str(n)) for n in range(EVENT_PAGE * 2 + 1)
    ]


def test_a_log_is_read_in_order_with_the_reason_last(client: Client, worker: Worker, sql: Sql) -> None:
    task_id = worker.task("failed")
    worker.print(task_id, CRASH_LOG_INDEX, "task panicked")
    worker.print(task_id, FAILURE_LOG_INDEX, "reason")
    sql.execute(
        "INSERT INTO durable.log (task_id, index, message) SELECT %s, n * 3, n FROM generate_series(0, %s) AS n",
        [task_id, LOG_PAGE],
    )
    expected = [*(str(n) for n in range(LOG_PAGE + 1)), "reason", "task panicked"]

    assert [line.message for line in client.logs(task_id)] == expected
    assert [line.message for line in client.follow_logs(task_id)] == expected


def test_a_log_is_followed_as_it_is_committed_until_the_task_ends(client: Client, worker: Worker) -> None:
    task_id = worker.task("active")
    worker.print(task_id, 0, "zero")
    lines = client.follow_logs(task_id)
    assert next(lines).message == "zero"

    worker.print(task_id, 4, "four")
    assert next(lines).message == "four"
    worker.print(task_id, 5, "five")
    worker.print(task_id, FAILURE_LOG_INDEX, "because")
    worker.end(task_id, "failed")

    assert [line.message for line in lines] == ["five", "because"]


def test_a_log_is_followed_with_every_notify_dropped(client: Client, worker: Worker) -> None:
    worker.drop_hints()
    task_id = worker.task("active")
    worker.print(task_id, 0, "before")
    lines = client.follow_logs(task_id)
    assert next(lines).message == "before"

    worker.print(task_id, 1, "after")
    assert next(lines).message == "after"
    worker.end(task_id)

    assert list(lines) == []


def test_a_reason_from_an_earlier_attempt_hides_nothing_that_is_printed_after_it(
    client: Client, worker: Worker
) -> None:
    task_id = worker.task("active")
    worker.print(task_id, FAILURE_LOG_INDEX, "an old reason")
    worker.print(task_id, 0, "zero")
    lines = client.follow_logs(task_id)

    assert next(lines).message == "zero"
    worker.print(task_id, 1, "one")
    worker.end(task_id, "failed")
    assert [line.message for line in lines] == ["one", "an old reason"]


def test_following_outlasts_the_loss_of_all_connections(client: Client, worker: Worker, sql: Sql) -> None:
    task_id = worker.task("active")
    worker.print(task_id, 0, "zero")
    lines = client.follow_logs(task_id)
    assert next(lines).message == "zero"

    sql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    worker.print(task_id, 1, "one")
    worker.end(task_id)

    assert [line.message for line in lines] == ["one"]


def test_following_a_task_that_is_deleted_ends_with_an_error(client: Client, worker: Worker, sql: Sql) -> None:
    task_id = worker.task("active")
    worker.print(task_id, 0, "zero")
    lines = client.follow_logs(task_id)
    assert next(lines).message == "zero"

    sql.execute("DELETE FROM durable.task")

    with pytest.raises(UnknownTask):
        list(lines)


def test_a_reader_that_stops_early_leaves_no_connection_behind(url: str, worker: Worker, sql: Sql) -> None:
    task_id = worker.task("active")
    worker.print(task_id, 0, "zero")
    with Client(url) as client:
        for _ in range(MAX_LISTENERS * 2):
            assert next(iter(client.follow_logs(task_id))).message == "zero"
    listening = "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    wait_until(lambda: sql.execute(listening).rowcount == 0, "the server notices that nobody listens any more")


def test_workers_are_alive_until_they_were_silent_for_too_long(client: Client, worker: Worker, sql: Sql) -> None:
    first, second = worker.register(), worker.register()
    sql.execute("UPDATE durable.worker SET heartbeat_at = durable.now() - interval '31 s' WHERE id = %s", [first])

    assert [(one.id, one.is_alive) for one in client.workers()] == [(first, False), (second, True)]
    assert all(one.is_alive for one in client.workers(heartbeat_timeout=60))


def test_workers_tell_how_long_they_were_silent_and_how_many_tasks_they_run(
    client: Client, worker: Worker, sql: Sql
) -> None:
    first, second = worker.register(), worker.register()
    sql.execute("UPDATE durable.worker SET heartbeat_at = durable.now() - interval '12 s' WHERE id = %s", [first])
    for state, runs_on in [("active", first), ("active", first), ("ready", first), ("complete", second)]:
        sql.execute("UPDATE durable.task SET running_on = %s WHERE id = %s", [runs_on, worker.task(state)])

    silent, lively = client.workers()

    assert (silent.id, silent.host, silent.pid, silent.active_tasks) == (first, "here", 7, 2)
    assert 12 <= silent.heartbeat_age < 30
    assert (lively.id, lively.active_tasks) == (second, 0)
    assert 0 <= lively.heartbeat_age < 12
