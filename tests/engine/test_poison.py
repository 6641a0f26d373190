"""A task that kills its worker each time it runs is put aside; whoever happened to be beside it is not."""

from __future__ import annotations

import pytest

import durable
from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until

GOOD = 200


def resume(database: Database, task: int) -> None:
    with durable.Client(database.url) as client:
        client.resume(task)


@pytest.fixture
def poison_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task of the name `poison` takes its worker along, whenever it records its first event."""
    monkeypatch.setenv("DURABLE_FAILPOINT", "event.added=poison:1:-")


@pytest.mark.usefixtures("poison_kills")
def test_poison_is_quarantined_while_everybody_else_completes(database: Database, start_service: StartService) -> None:
    service = start_service(workers=2)
    first = [database.launch("six-steps") for _ in range(GOOD // 2)]
    poison = database.launch("six-steps", task_name="poison")
    rest = [database.launch("six-steps") for _ in range(GOOD // 2)]
    assert database.wait_for_end(poison, 60) == "quarantined"
    reason = database.failure(poison)
    assert "the worker died 3 times in a row while it ran this task, without progress since event 0" in reason
    assert "SIGKILL" in reason
    for task in first + rest:
        assert database.wait_for_end(task, 60) == "complete", database.failure(task)
        database.assert_dense(task)
    assert service.log.count("was killed by signal SIGKILL") == 3
    assert database.events(poison) == []


def test_what_kills_the_worker_may_be_what_the_host_does_for_the_task(
    database: Database, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a coroutine of the host, between two waits: the guest itself stands still."""
    monkeypatch.setenv("DURABLE_FAILPOINT", "inbox.read:1:-")
    service = start_service(workers=1)
    poison = database.launch("collect", {"count": 1, "quiet": True})
    assert database.wait_for_end(poison, 60) == "quarantined"
    assert service.log.count("was killed by signal SIGKILL") == 3


@pytest.mark.usefixtures("poison_kills")
def test_resume_gives_it_another_three_chances(
    database: Database, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start_service(workers=1)
    poison = database.launch("six-steps", task_name="poison")
    assert database.wait_for_end(poison, 60) == "quarantined"
    lease = database.value("SELECT lease FROM durable.task WHERE id = %s", poison)
    resume(database, poison)
    wait_until(lambda: database.value("SELECT lease FROM durable.task WHERE id = %s", poison) >= lease + 3, "3 leases")
    assert database.wait_for_end(poison, 60) == "quarantined"
    service.terminate()
    # The cause is gone: a worker of another version, without the fault.
    monkeypatch.delenv("DURABLE_FAILPOINT")
    resume(database, poison)
    start_service(workers=1)
    assert database.wait_for_end(poison, 60) == "complete"
    assert database.failure(poison) == "None"


def test_progress_between_two_deaths_begins_the_count_anew(
    database: Database, start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker dies again and again, but each time it has got on a little: bad luck, and no poison."""
    monkeypatch.setenv("DURABLE_FAILPOINT", "event.added=slow:5:-")
    start_service(workers=1, flush_interval="0")
    slow = database.launch("sleep-n-go", {"count": 6, "seconds": 0.05}, task_name="slow")
    assert database.wait_for_end(slow, 100) == "complete"
    assert database.value("SELECT lease FROM durable.task WHERE id = %s", slow) > 3
    database.assert_dense(slow)
