"""A process dies at any point of any step of a workflow that uses every interface: nothing is lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until
from tests.engine.every_interface import EVERY_INTERFACE, SETTINGS, witness
from tests.net.servers import Received, response
from tests.proof import IS_FULL

pytestmark = [pytest.mark.proof(minutes=1), pytest.mark.timeout(600)]

#: More often than any point is passed in one run.
MOST = 16
#: Each of these in `make test`, the first time it is passed; the others have tests of their own there.
SAMPLE = [
    ("event.added", 5), ("inbox.read", 1), ("request.before", 1), ("response.here", 1), ("sql.begun", 1),
    ("record.before", 1), ("commit.done", 1), ("suspend.done", 1), ("heartbeat.done", 2),
]  # fmt: skip


@pytest.mark.parametrize("point", EVERY_INTERFACE if IS_FULL else sorted({point for point, _ in SAMPLE}))
def test_a_crash_at_every_passing_of_a_point(
    database: Database, start_service: StartService, tmp_path: Path, point: str
) -> None:
    counts = range(1, MOST) if IS_FULL else [n for name, n in SAMPLE if name == point]
    crashes = 0
    with witness(database) as outside:
        for count in counts:
            marker = tmp_path / f"crashed-{count}"
            service = start_service(workers=1, failpoint=f"{point}:{count}:{marker}", **SETTINGS)
            task = outside.launch()
            assert database.wait_for_end(task, 60) == "complete", service.log
            outside.assert_whole(task)
            service.stop()
            crashes += marker.exists()
            if not marker.exists() and not point.startswith(("heartbeat", "append", "claim")):
                break  # it was passed fewer times than that
    print(f"{point}: {crashes} crashes")
    assert crashes, "the point was never passed"


def test_a_crash_right_after_the_tasks_of_a_dead_worker_were_taken_back(
    database: Database, start_service: StartService, tmp_path: Path
) -> None:
    """Whoever reclaims dies as well, having told nobody."""
    marker, answered = tmp_path / "crashed", threading.Event()

    def once_the_first_is_dead(request: Received, connection: socket.socket) -> bool:
        answered.wait(30)
        connection.sendall(response(b"thanks"))
        return True

    with witness(database, once_the_first_is_dead) as outside:
        service = start_service(workers=2, failpoint=f"reclaim.done:1:{marker}", **SETTINGS)
        task = outside.launch()
        wait_until(lambda: outside.server.requests, "the request")
        os.kill(wait_until(lambda: service.worker_of(task), "its worker"), signal.SIGKILL)
        wait_until(marker.exists, "the crash of the one that took its task back")
        answered.set()
        assert database.wait_for_end(task, 60) == "complete"
        outside.assert_whole(task, crashes=2)
