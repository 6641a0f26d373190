"""Notifications: each taken exactly once, in order, with or without hints, whoever dies meanwhile."""

from __future__ import annotations

import os
import random
import signal
import time

import psycopg

import durable
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until, workflow

SENDERS = 8
EACH = 1250


def test_ten_thousand_notifications_from_eight_senders_with_kills(
    database: Database, start_service: StartService
) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    service = start_service(workers=2, suspend_timeout="0.5")
    receiver = database.launch("collect", {"count": SENDERS * EACH, "quiet": True})
    senders = [database.launch("send-many", {"target": receiver, "sender": n, "count": EACH}) for n in range(SENDERS)]
    kills = 0
    deadline = time.monotonic() + 100
    while database.state(receiver) not in ("complete", "failed"):
        assert time.monotonic() < deadline, "not done in time"
        time.sleep(chance.uniform(0.2, 0.6))
        resume_the_suspects(database)
        if kills < 10:
            pids = service.pids()
            os.kill(chance.choice(pids), signal.SIGKILL)
            kills += 1
            service.wait_for_workers(2)
    assert kills >= 3
    assert database.state(receiver) == "complete", database.failure(receiver)
    for sender in senders:
        assert database.wait_for_end(sender) == "complete"
        database.assert_dense(sender)
    database.assert_dense(receiver)
    taken = database.query(
        "SELECT (value -> 'data' ->> 'sender')::int, (value -> 'data' ->> 'seq')::int FROM durable.event "
        "WHERE task_id = %s AND label LIKE 'durable:core/notify%%' ORDER BY index", receiver,
    )  # fmt: skip
    by_sender: dict[int, list[int]] = {n: [] for n in range(SENDERS)}
    for sender, sequence in taken:
        by_sender[sender].append(sequence)
    for sequences in by_sender.values():
        assert sequences == sorted(sequences)
        assert len(set(sequences)) == len(sequences) == EACH
    assert database.value("SELECT count(*) FROM durable.notification") == 0
    assert "in order: true" in database.log(receiver)


def resume_the_suspects(database: Database) -> None:
    """As an operator does. Three kills that hit the same long replay make its task look guilty (docs/adr/0010).

    No other reason to be put aside, a divergence above all, may be passed over so.
    """
    with durable.Client(database.url) as client:
        for task in client.tasks(state="quarantined"):
            assert "the worker died 3 times in a row" in database.failure(task.id)
            client.resume(task.id)


def test_everything_works_with_every_notify_dropped(database: Database, start_service: StartService) -> None:
    """pg_notify is replaced by nothing, as through a transaction pooler."""
    database.query("CREATE SCHEMA deaf")
    database.query("CREATE FUNCTION deaf.pg_notify(text, text) RETURNS void LANGUAGE sql AS ''")
    for name in ("announce_new_tasks", "announce_state", "deliver_notifications", "announce_log", "announce_worker"):
        database.query(f"ALTER FUNCTION durable.{name}() SET search_path = deaf, pg_catalog")
    with psycopg.connect(database.url, autocommit=True) as listener:
        listener.execute('LISTEN "durable:task"')
        start_service(workers=2, suspend_timeout="0.3")
        task = database.launch("notified")
        database.wait_for_state(task, "suspended", 10)
        database.notify(task, "one", {"n": 1})
        wait_until(lambda: "one" in database.log(task), "the notification is printed", 10)
        database.notify(task, "task-exit")
        assert database.wait_for_end(task, 10) == "complete"
        assert list(listener.notifies(timeout=0.2)) == []


def test_a_sender_whose_transaction_stays_open_holds_nobody_up(database: Database, start_service: StartService) -> None:
    start_service(workers=1, suspend_timeout="0.3")
    task = database.launch("notified")
    database.wait_for_state(task, "suspended")
    with psycopg.connect(database.url) as slow:
        slow.execute("INSERT INTO durable.notification (task_id, event) VALUES (%s, 'slow')", (task,))
        database.notify(task, "fast")
        other = database.launch("ten-events")
        assert database.wait_for_end(other, 10) == "complete"
        slow.commit()
    wait_until(lambda: "fast" in database.log(task) and "slow" in database.log(task), "both arrive", 10)
    database.notify(task, "task-exit")
    assert database.wait_for_end(task, 10) == "complete"


def test_a_notification_that_commits_while_the_task_is_being_suspended_is_not_lost(
    database: Database, start_service: StartService
) -> None:
    start_service(workers=1, suspend_timeout="0.1", poll_interval="0.5")
    task = database.launch("notified")
    for n in range(20):
        with psycopg.connect(database.url) as sender:
            sender.execute("INSERT INTO durable.notification (task_id, event) VALUES (%s, %s)", (task, f"n{n}"))
            time.sleep(0.05 + 0.01 * n)  # the task looks, finds nothing, and is suspended meanwhile
            sender.commit()
        wait_until(lambda n=n: f"n{n}:" in database.log(task), f"notification {n}", 5)  # type: ignore[misc]
    database.notify(task, "task-exit")
    assert database.wait_for_end(task) == "complete"


def test_a_task_launched_and_notified_by_plain_sql_runs(database: Database, start_service: StartService) -> None:
    """With the columns of the contract only, and a running_on that is a hint to a worker that does not exist."""
    start_service(workers=1)
    worker = database.value("INSERT INTO durable.worker DEFAULT VALUES RETURNING id")
    program = database.program(workflow("notified"))
    task = database.value(
        "INSERT INTO durable.task (name, wasm, data, running_on) VALUES ('by hand', %s, '{}', %s) RETURNING id",
        program, worker,
    )  # fmt: skip
    database.query("INSERT INTO durable.notification (task_id, event, data) VALUES (%s, 'hello', '[1]')", task)
    database.query("INSERT INTO durable.notification (task_id, event, data) VALUES (%s, 'task-exit', 'null')", task)
    assert database.wait_for_end(task) == "complete"
    assert "hello" in database.log(task)
