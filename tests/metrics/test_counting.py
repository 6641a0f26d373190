"""What happens in a worker is counted once, where it belongs. One worker in this process, as in an application."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import pytest
from prometheus_client import generate_latest

from durable import config, metrics
from durable.execution import http
from durable.journal.faults import JournalUnavailable
from durable.metrics.exposition import registry
from durable.net import errors
from durable.store.problems import kind_of
from durable.store.session import Session
from tests.engine.database import Database, workflow
from tests.metrics.scrapes import Scrape
from tests.net.servers import response, saying, serving
from workers.worker import Worker


class Counted:
    """How much each series has grown since this was made."""

    def __init__(self) -> None:
        self._before = shown().series()

    def __call__(self, name: str, **labels: str) -> float:
        return shown().value(name, **labels) - self._before[name, tuple(sorted(labels.items()))]


def shown() -> Scrape:
    return Scrape.of(generate_latest(registry).decode())


def run(
    database: Database, cache_folder: Path, work: Callable[[], Awaitable[None]], **settings: object
) -> Callable[..., float]:
    """What is counted while a worker runs and `work` is done."""
    counted = Counted()
    given = {"database_url": database.url, "cache_folder": str(cache_folder), **settings}

    async def application() -> None:
        async with Worker(config.load(given, {})):
            await work()

    asyncio.run(application())
    return counted


async def end_of_runs(total: float) -> None:
    """What becomes of a task is visible a moment before its run is over, and counted."""
    async with asyncio.timeout(60):
        while ended_runs() < total:  # noqa: ASYNC110  # of the worker's doing
            await asyncio.sleep(0.02)


def ended_runs() -> float:
    return shown().value("durable_task_duration_seconds_count")


async def state(database: Database, task: int, *states: str) -> None:
    async with asyncio.timeout(60):
        while await asyncio.to_thread(database.state, task) not in states:  # noqa: ASYNC110  # of the worker's doing
            await asyncio.sleep(0.02)


def test_tasks_are_counted_by_how_they_end(database: Database, cache_folder: Path) -> None:
    gc.collect()  # runs that tests before this one gave up in the middle end now, and not while these are counted
    before = ended_runs()

    async def work() -> None:
        for name, end in (("ten-events", "complete"), ("noop", "complete"), ("trap", "failed"), ("abort", "failed")):
            await state(database, database.launch(name), end)
        await end_of_runs(before + 4)

    counted = run(database, cache_folder, work)
    assert counted("durable_task_claimed_total") == 4
    assert counted("durable_task_completed_total") == 2
    assert counted("durable_task_failed_total") == 2
    assert counted("durable_task_duration_seconds_count") == 4
    assert counted("durable_task_claim_latency_seconds_count") == 4
    assert counted("durable_events_appended_total") == database.value("SELECT count(*) FROM durable.event")
    assert counted("durable_journal_flush_events_sum") == counted("durable_events_appended_total")
    assert counted("durable_journal_flush_seconds_count") == counted("durable_journal_flush_events_count") > 0
    assert counted("durable_events_replayed_total") == 0
    assert counted("durable_worker_tasks", worker="embedded") == 0
    assert counted("durable_worker_slots", worker="embedded") == 0


def test_a_suspension_a_late_timer_and_a_replay_are_counted(database: Database, cache_folder: Path) -> None:
    async def work() -> None:
        task = database.launch("sleepy-sleep", {"seconds": 600})
        await state(database, task, "suspended")
        await asyncio.to_thread(database.advance_clock, 640)
        await state(database, task, "complete")

    counted = run(database, cache_folder, work)
    assert counted("durable_task_suspended_total") == 1
    assert counted("durable_timer_lag_seconds_count") == 1
    assert 39 < counted("durable_timer_lag_seconds_sum") < 60
    assert counted("durable_task_claim_latency_seconds_count") == 1
    assert counted("durable_events_replayed_total") > 0


def test_a_notification_has_been_under_way_since_it_was_sent(database: Database, cache_folder: Path) -> None:
    async def work() -> None:
        task = database.launch("notified")
        await state(database, task, "suspended")
        database.notify(task, "task-exit")
        await state(database, task, "complete")

    counted = run(database, cache_folder, work, suspend_timeout="200ms")
    assert counted("durable_notification_delivery_seconds_count") == 1
    assert 0 <= counted("durable_notification_delivery_seconds_sum") < 30


def test_a_program_that_is_not_deterministic_is_counted(database: Database, cache_folder: Path) -> None:
    async def work() -> None:
        task = database.launch("diverge-a")
        await state(database, task, "suspended", "complete")
        other = database.program(workflow("diverge-b"))
        database.query(
            "UPDATE durable.task SET wasm = %s, state = 'ready', completed_at = NULL WHERE id = %s", other, task
        )
        await state(database, task, "quarantined")

    counted = run(database, cache_folder, work)
    assert counted("durable_divergence_total") == 1
    assert counted("durable_task_quarantined_total") == 1


def test_a_write_under_a_lost_lease_is_counted(database: Database, cache_folder: Path) -> None:
    async def work() -> None:
        task = database.launch("sleep-n-go", {"count": 3, "seconds": 0.5})
        await state(database, task, "active")
        database.query("UPDATE durable.task SET lease = lease + 1, state = 'cancelled' WHERE id = %s", task)
        async with asyncio.timeout(60):
            while not counted_so_far("durable_fenced_writes_total"):  # noqa: ASYNC110  # of the worker's doing
                await asyncio.sleep(0.02)

    counted_so_far = Counted()
    counted = run(database, cache_folder, work)
    assert counted("durable_fenced_writes_total") == 1
    assert counted("durable_db_errors_total", kind="other") == 0


def test_sql_of_workflows_is_counted_with_its_event(database: Database, cache_folder: Path) -> None:
    async def work() -> None:
        await state(database, database.launch("use-sql", {"sql": "SELECT 1"}), "complete")

    counted = run(database, cache_folder, work)
    assert counted("durable_events_appended_total") == database.value("SELECT count(*) FROM durable.event")


def test_compilations_and_finds_in_the_cache_are_counted(database: Database, tmp_path: Path) -> None:
    async def work() -> None:
        await state(database, database.launch("noop"), "complete")

    first = run(database, tmp_path, work)
    assert [first(f"durable_program_cache_{what}_total") for what in ("misses", "hits")] == [1, 0]
    assert first("durable_program_compile_seconds_count") == 1
    second = run(database, tmp_path, work)
    assert [second(f"durable_program_cache_{what}_total") for what in ("misses", "hits")] == [0, 1]


def test_tasks_of_dead_workers_are_counted_when_they_are_taken_back(database: Database, cache_folder: Path) -> None:
    tasks = [database.launch("noop") for _ in range(3)]
    database.query("INSERT INTO durable.worker (heartbeat_at) VALUES (durable.now() - interval '1 hour')")
    database.query("UPDATE durable.task SET state = 'active', running_on = (SELECT id FROM durable.worker)")

    async def work() -> None:
        for task in tasks:
            await state(database, task, "complete")

    assert run(database, cache_folder, work)("durable_task_reclaimed_total") == 3


def test_requests_are_counted_by_what_came_of_them(database: Database, cache_folder: Path) -> None:
    with serving(saying(response(b"no", status=404)), None, "127.0.0.1") as server:

        async def work() -> None:
            for url in (server.url(), "http://10.0.0.1/", "http://127.0.0.1:1/"):
                await state(database, database.launch("use-http", {"url": url}), "complete", "failed")

        counted = run(database, cache_folder, work, egress_allow="127.0.0.1")
    assert counted("durable_http_requests_total", outcome="4xx") == 1
    assert counted("durable_http_requests_total", outcome="refused") == 1
    assert counted("durable_http_requests_total", outcome="connect") == 1


def test_errors_of_the_database_are_counted_where_workers_meet_them(database: Database, tmp_path: Path) -> None:
    async def fail() -> None:
        session = Session(database.url, "test", timeout=5, idle_in_transaction=5)
        with pytest.raises(psycopg.errors.LockNotAvailable):
            async with session.use() as connection:
                await connection.execute("SET lock_timeout = '10ms'")
                await connection.execute("SELECT count(*) FROM durable.task")
        with pytest.raises(psycopg.errors.UniqueViolation):
            async with session.use() as connection:
                await connection.execute("INSERT INTO durable.migration (version, name) VALUES (1, 'again')")
        await session.close()
        nowhere = Session(f"postgresql://x@/x?host={tmp_path}", "test", timeout=5, idle_in_transaction=5)
        with pytest.raises(JournalUnavailable):
            async with nowhere.use():
                pass
        slow = Session(database.url, "test", timeout=0.5, idle_in_transaction=5)
        with pytest.raises(JournalUnavailable):
            async with slow.use() as connection:
                await connection.execute("SELECT pg_sleep(60)")

    counted = Counted()
    with psycopg.connect(database.url) as locking:
        locking.execute("LOCK TABLE durable.task")
        asyncio.run(fail())
    for kind in ("lock", "data", "connection", "timeout"):
        assert counted("durable_db_errors_total", kind=kind) == 1, kind


def kinds_of_http_errors() -> list[type[errors.HttpError]]:
    def below(kind: type[errors.HttpError]) -> list[type[errors.HttpError]]:
        return [kind, *(deeper for one in kind.__subclasses__() for deeper in below(one))]

    return below(errors.HttpError)


@pytest.mark.parametrize("kind", kinds_of_http_errors())
def test_every_way_for_a_request_to_fail_has_an_outcome(kind: type[errors.HttpError]) -> None:
    assert metrics.http_requests[http._outcome(kind("why"))]


def test_outcomes_tell_apart_what_an_operator_would() -> None:
    said = {kind.__name__: http._outcome(kind("why")) for kind in kinds_of_http_errors()}
    assert said["TimedOut"] == "timeout"
    assert said["ConnectFailed"] == "connect"
    assert said["EgressRefused"] == "refused"
    assert said["ResponseTooLarge"] == said["RequestTooLarge"] == "too_large"
    assert said["InvalidUrl"] == "invalid"
    assert said["RequestFailed"] == "failed"


def test_every_error_of_the_database_has_a_kind() -> None:
    every = [error for error in vars(psycopg.errors).values() if isinstance(error, type)]
    raised = [error("why") for error in every if issubclass(error, psycopg.Error)]
    assert len(raised) > 200
    for error in raised:
        assert metrics.db_errors[kind_of(error)], error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("no route"), "connection"),
        (OSError("no route"), "connection"),
        (psycopg.errors.ConnectionFailure(), "connection"),
        (psycopg.errors.DeadlockDetected(), "conflict"),
        (psycopg.errors.SerializationFailure(), "conflict"),
        (psycopg.errors.LockNotAvailable(), "lock"),
        (psycopg.errors.QueryCanceled(), "timeout"),
        (psycopg.errors.IdleInTransactionSessionTimeout(), "timeout"),
        (psycopg.errors.TooManyConnections(), "resources"),
        (psycopg.errors.DiskFull(), "resources"),
        (psycopg.errors.UniqueViolation(), "data"),
        (psycopg.errors.InsufficientPrivilege(), "privilege"),
        (psycopg.errors.InvalidPassword(), "privilege"),
        (psycopg.errors.AdminShutdown(), "shutdown"),
        (psycopg.errors.InternalError_(), "internal"),
        (psycopg.errors.UndefinedTable(), "other"),
        (psycopg.InterfaceError("closed"), "other"),
    ],
)
def test_the_kind_of_an_error_says_whose_fault_it_is(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind
