"""The metrics of the real service, while workers die under load."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Iterator

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.service import Service
from tests.metrics.scrapes import Scrape, assert_went_forward, complaints, scrape
from tests.metrics.test_exporter import EVERYTHING

TASKS = 30
#: What no label may ever hold.
SECRET_NAME = "order-of-Ada-4711"


@pytest.fixture
def service(start_service: StartService) -> Service:
    return start_service(workers=2, metrics_addr="127.0.0.1:0")


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    found = wait_until(lambda: re.search(r"served at (http://\S+)/metrics", service.log), "a port")
    wait_until(lambda: scrape(found[1]).has("durable_tasks", state="ready"), "a count")
    yield found[1]


def workers(database: Database) -> list[int]:
    return [row[0] for row in database.query("SELECT pid FROM durable.worker")]


def kill_the_one_with_most_tasks(database: Database) -> int:
    """How many tasks it had."""
    pid, tasks = database.query(
        "SELECT w.pid, count(*) FROM durable.task t JOIN durable.worker w ON w.id = t.running_on "
        "WHERE t.state = 'active' GROUP BY w.pid ORDER BY count(*) DESC LIMIT 1"
    )[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in workers(database), "the row of the dead worker goes")
    return int(tasks)


def all_run(database: Database) -> bool:
    """Every task is active, and has a journal to replay."""
    active = database.value("SELECT count(*) FROM durable.task WHERE state = 'active'")
    return bool(active == TASKS == database.value("SELECT count(DISTINCT task_id) FROM durable.event"))


def test_the_counts_are_right_after_three_deaths_under_load(database: Database, url: str) -> None:
    program_runs = {"count": 8, "seconds": 1.0}
    for _ in range(TASKS):
        database.launch("sleep-n-go", program_runs, task_name=SECRET_NAME)
    before, orphans = scrape(url), 0
    for _ in range(3):
        wait_until(lambda: all_run(database), "all tasks run")
        orphans += kill_the_one_with_most_tasks(database)
        after = scrape(url)
        assert_went_forward(before, after)
        before = after
    database.wait_for_all(90)
    seen = wait_until(lambda: counted(url, "durable_task_completed_total", TASKS), "the last count")
    assert_went_forward(before, seen)
    claims = int(database.value("SELECT sum(lease) FROM durable.task"))
    events = database.value("SELECT count(*) FROM durable.event")
    assert claims == TASKS + orphans
    # A death comes between a commit and its count at worst, of which there were three.
    assert claims - 3 * TASKS / 2 <= seen.value("durable_task_claimed_total") <= claims
    assert seen.value("durable_task_reclaimed_total") == orphans
    assert events - 3 * TASKS <= seen.value("durable_events_appended_total") <= events
    assert seen.value("durable_events_replayed_total") > 0
    assert seen.value("durable_task_duration_seconds_count") == TASKS
    assert seen.value("durable_task_claim_latency_seconds_count") == seen.value("durable_task_claimed_total")
    assert seen.value("durable_worker_tasks", worker="1") + seen.value("durable_worker_tasks", worker="2") == 0
    assert sum(seen.value("durable_supervisor_worker_restarts_total", worker=slot) for slot in "12") == 3
    assert seen.value("durable_fenced_writes_total") == 0
    assert complaints(seen.text) == ""
    assert SECRET_NAME not in seen.text


def counted(url: str, name: str, least: float) -> Scrape | None:
    seen = scrape(url)
    return seen if seen.value(name) >= least else None


def test_no_counter_goes_backwards_while_workers_die(database: Database, service: Service, url: str) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    before = scrape(url)
    for _ in range(8):
        for _ in range(20):
            database.launch("ten-events")
        service.wait_for_workers(2)
        # Not one whose row is left of a death.
        os.kill(chance.choice(sorted({*workers(database)} & {*service.pids()})), signal.SIGKILL)
        for _ in range(20):
            after = scrape(url)
            assert_went_forward(before, after)
            before = after
    database.wait_for_all(60)
    assert scrape(url).families.keys() == EVERYTHING


def wait_for_heartbeats(url: str) -> None:
    def told() -> bool:
        seen = scrape(url)
        return all(seen.has("durable_worker_heartbeat_timestamp_seconds", worker=worker) for worker in "12")

    wait_until(told, "a heartbeat of both workers")


def test_series_do_not_grow_with_tasks_and_name_none(database: Database, url: str) -> None:
    wait_for_heartbeats(url)
    before = scrape(url)
    for number in range(50):
        database.launch("ten-events", task_name=f"{SECRET_NAME}-{number}")
    database.launch("trap", task_name=SECRET_NAME)
    database.wait_for_all()
    wait_until(lambda: counted(url, "durable_task_failed_total", 1), "the failure")
    after = scrape(url)
    labels = {label for _, pairs in after.series() for label in pairs}
    assert {name for name, _ in labels} == {"worker", "state", "le", "outcome", "kind", "version", "python", "wasmtime"}
    assert {value for name, value in labels if name == "worker"} == {"1", "2"}
    assert SECRET_NAME not in after.text
    assert after.series().keys() - before.series().keys() <= {("durable_task_oldest_ready_timestamp_seconds", ())}


def test_each_worker_tells_its_room_and_its_heartbeat(database: Database, url: str) -> None:
    wait_for_heartbeats(url)
    now = database.value("SELECT extract(epoch FROM durable.now())::float8")
    for slot in "12":
        assert scrape(url).value("durable_worker_slots", worker=slot) == 1000
        assert now - 60 < scrape(url).value("durable_worker_heartbeat_timestamp_seconds", worker=slot) <= now + 5
        assert scrape(url).value("durable_supervisor_worker_up", worker=slot) == 1
