"""A fleet in which each launch is the turn of a few workers only."""

from __future__ import annotations

from tests.engine.conftest import StartService
from tests.engine.database import Database, wait_until


def test_every_launch_is_somebodys_turn(database: Database, start_service: StartService) -> None:
    """No poll comes to anybody's help. Workers may know of different fleets until their first heartbeats are over."""
    start_service(workers=6, poll_interval="1h", heartbeat_interval="1s")
    everybody_has_heard = "SELECT min(heartbeat_at) > max(started_at) + interval '1 ms' FROM durable.worker"
    wait_until(lambda: database.value(everybody_has_heard), "a heartbeat of each since the last one registered")
    tasks = [database.launch("noop") for _ in range(20)]
    assert {database.wait_for_end(task) for task in tasks} == {"complete"}
