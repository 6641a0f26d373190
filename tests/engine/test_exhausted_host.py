"""A host that is short of memory, descriptors or disk space costs time, and no task."""

from __future__ import annotations

import resource

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until

TOO_LITTLE = 4096


def limit_file_sizes(pid: int, size: int) -> None:
    """Memory for the data of programs is a file without a name: this limit is what an exhausted host is to wasmtime."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_task_that_cannot_be_started_for_want_of_resources_is_put_back(
    database: Database, start_service: StartService
) -> None:
    service = start_service(workers=1, poll_interval="0.2", log_level="error")
    [worker] = service.pids()
    limit_file_sizes(worker, TOO_LITTLE)
    tasks = [database.launch(name) for name in ("six-steps", "ten-events")]
    wait_until(lambda: database.value("SELECT min(lease) FROM durable.task") >= 3, "it is tried again and again")
    assert {database.state(task) for task in tasks} <= {"ready", "active"}
    limit_file_sizes(worker, resource.RLIM_INFINITY)
    for task in tasks:
        assert database.wait_for_end(task) == "complete", database.failure(task)
        database.assert_dense(task)


def test_a_task_with_a_journal_that_cannot_be_replayed_for_want_of_resources_is_put_back(
    database: Database, start_service: StartService
) -> None:
    """A run that ends before its journal does is a divergence; one that could not begin is none."""
    service = start_service(workers=1, poll_interval="0.2", suspend_timeout="0.1", log_level="error")
    task = database.launch("collect", {"count": 1})
    database.wait_for_state(task, "suspended")
    service.terminate()
    service.start()
    [worker] = service.pids()
    limit_file_sizes(worker, TOO_LITTLE)
    lease = database.value("SELECT lease FROM durable.task")
    database.notify(task, "one")
    wait_until(lambda: database.value("SELECT lease FROM durable.task") >= lease + 2, "it is tried again")
    assert database.state(task) in ("ready", "active")
    limit_file_sizes(worker, resource.RLIM_INFINITY)
    assert database.wait_for_end(task) == "complete", database.failure(task)
    database.assert_dense(task)
