"""A thousand deaths of workers cost the supervisor nothing. Prints its seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.processes import HAS_PROC, children, state
from tests.supervisor.respawning import UNLIMITED, Holdings, respawn
from tests.supervisor.service import Service

pytestmark = [
    pytest.mark.chaos(minutes=2),
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not HAS_PROC, reason="needs /proc"),
]

RESPAWNS = 1000
WARM_UP = 100
MAX_GROWTH = 1024 * 1024


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path, 4, {"metrics_addr": "x"}, dict(UNLIMITED), {})
    yield service
    service.end()


def test_a_thousand_respawns_leave_nothing_behind(service: Service) -> None:
    seed = int(os.environ.get("DURABLE_SEED", random.randrange(2**32)))
    print("DURABLE_SEED", seed)
    chance = random.Random(seed)
    service.wait_ready(4)
    service.wait_until(lambda: len(children(service.pid)) == 5)  # with the exporter
    respawn(service, WARM_UP, chance)
    before = Holdings.of(service.pid)
    respawn(service, RESPAWNS - WARM_UP, chance)
    after = Holdings.of(service.pid)
    print(f"{RESPAWNS:,} respawns:", before, after)
    assert (after.descriptors, after.threads) == (before.descriptors, 1)
    assert after.resident - before.resident < MAX_GROWTH
    assert "Z" not in map(state, children(service.pid))
