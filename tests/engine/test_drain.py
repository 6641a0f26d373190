"""A drain: short steps end, everything else is handed back at once, nothing is lost and nobody waits for a timeout."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import closing
from pathlib import Path

from tests.chaos.proxy import proxied
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.fetching import LOOPBACK
from tests.engine.service import running_service
from tests.net.conftest import Serve
from tests.net.servers import after, response, saying

DRAINS = 20
LOAD = 30


def test_a_request_that_is_under_way_ends_and_is_not_sent_again(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(after(1.5, response(b"hello")))
    service = start_service(workers=1, **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    wait_until(lambda: server.requests, "the request")
    assert service.terminate() == 0
    assert database.state(task) == "ready"
    assert len(database.events(task)) == 1
    service.start()
    assert database.wait_for_end(task) == "complete"
    assert database.log(task) == "200, 5 bytes\n"
    assert len(server.requests) == 1


def test_a_request_that_takes_half_the_drain_timeout_is_given_up_and_sent_again(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(after(20.0, response(b"hello")))
    service = start_service(workers=1, drain_timeout="4", **LOOPBACK)
    task = database.launch("use-http", {"url": server.url()})
    wait_until(lambda: server.requests, "the request")
    assert service.terminate() == 0
    assert (database.state(task), database.events(task)) == ("ready", [])
    server.behave = saying(response(b"quick"))
    service.start()
    assert database.wait_for_end(task) == "complete"
    assert database.log(task) == "200, 5 bytes\n"


def test_whoever_has_no_step_under_way_goes_on_elsewhere_while_the_others_end_theirs(
    database: Database, start_service: StartService, serve: Serve
) -> None:
    server = serve(after(6.0, response(b"hello")))
    service = start_service(workers=1, **LOOPBACK)
    slow = database.launch("use-http", {"url": server.url()})
    quick = database.launch("sleep-n-go", {"count": 20, "seconds": 0.3})
    wait_until(lambda: server.requests, "the request")
    wait_until(lambda: database.log(quick), "a first step")
    [draining] = service.pids()
    os.kill(draining, signal.SIGTERM)
    wait_until(lambda: database.state(quick) == "ready", "the task without a step is handed back")
    assert database.state(slow) == "active", "handed back only after the request had ended"
    assert database.value("SELECT draining FROM durable.worker WHERE pid = %s", draining)
    wait_until(lambda: draining not in service.pids(), "the end of the drain")
    for task in (slow, quick):
        assert database.wait_for_end(task) == "complete"
    assert len(server.requests) == 1


def test_what_could_not_be_handed_back_is_taken_back_as_soon_as_the_database_is_there(
    database: Database, cache_folder: Path, tmp_path: Path
) -> None:
    """With a lease of ten minutes: the supervisor asks the sibling, as after a death."""
    leases = {"heartbeat_timeout": "600", "heartbeat_interval": "1", "hang_timeout": "600"}
    log = tmp_path / "service.log"
    with (
        proxied(database.url) as proxy,
        closing(Database(proxy.url(database.url))) as of_workers,
        running_service(of_workers, cache_folder, log, workers=2, **leases) as service,
    ):
        task = database.launch("sleep-n-go", {"count": 40, "seconds": 0.05})
        wait_until(lambda: database.log(task), "a first step")
        draining = service.worker_of(task)
        assert draining is not None
        proxy.refuses = True
        proxy.cut()
        os.kill(draining, signal.SIGTERM)
        wait_until(lambda: draining not in service.pids(), "the end of the drain")
        assert database.state(task) == "active", "handed back without a way to the database"
        proxy.refuses = False
        assert database.wait_for_end(task, 20) == "complete"


def test_twenty_drains_under_load_lose_nothing_and_nobody_waits(
    database: Database, start_service: StartService
) -> None:
    """With leases of ten minutes, whoever had to wait for a timeout would be seen."""
    chance = random.Random(seed := random.randrange(2**32))
    print("DURABLE_SEED", seed)
    service = start_service(workers=2, heartbeat_timeout="600", heartbeat_interval="1", hang_timeout="600")
    launched: list[int] = []
    for _ in range(DRAINS):
        launched += [database.launch("sleep-n-go", {"count": 5, "seconds": 0.05}) for _ in range(LOAD)]
        time.sleep(chance.uniform(0.0, 0.3))
        draining = chance.choice(service.pids())
        os.kill(draining, signal.SIGTERM)
        wait_until(lambda pid=draining: pid not in service.pids(), "the end of the drain")  # type: ignore[misc]
        service.wait_for_workers(2)
    expected = "".join(f"{n} of 5\n" for n in range(1, 6))
    for task in launched:
        assert database.wait_for_end(task, 60) == "complete", database.failure(task)
        assert database.log(task) == expected
        database.assert_dense(task)
    moved = database.value("SELECT count(*) FROM durable.task WHERE lease > 1")
    assert moved >= DRAINS, "too few tasks were running when their worker was drained"
    assert service.log.count("has stopped") == DRAINS
    assert "was killed" not in service.log
