"""Every kind of fault at once, under load: nothing is lost, nothing is doubled. Prints its seed and what it hit."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer
from tests.chaos.campaign import Plan, campaign
from tests.chaos.faults import FAULTS
from tests.engine.database import Database
from tests.proof import IS_FULL, seed

pytestmark = [pytest.mark.proof(minutes=10), pytest.mark.timeout(3600)]

SHORT = Plan(tasks=300, faults=dict.fromkeys(FAULTS, 1) | {"WorkerKill": 5}, workers=2, timeout=170)
FULL = Plan(
    tasks=10_000,
    faults={
        "WorkerKill": 260, "SupervisorKill": 50, "PostgresCrash": 50, "Cut": 20, "Freeze": 10, "Deafness": 5,
        "Delay": 5, "Refusal": 5, "LostHints": 5, "FullCache": 5, "RollingRestart": 5,
    },
    in_doubt=1,
)  # fmt: skip


def test_nothing_is_lost_and_nothing_is_doubled(database: Database, server: EmbeddedServer, tmp_path: Path) -> None:
    plan = FULL if IS_FULL else SHORT
    # A cache of its own: one of the faults empties it.
    with campaign(plan, seed(), database, server, tmp_path / "cache", tmp_path) as run:
        print(run.run())
