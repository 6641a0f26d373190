"""PostgreSQL's host is lost and its synchronous standby takes over: what was acknowledged is there, and goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.chaos.oracle import judge
from tests.chaos.proxy import Proxy, proxied
from tests.chaos.standby import synchronous_standby, take_over
from tests.chaos.witness import Witnesses, witnesses
from tests.engine.database import Database, wait_until
from tests.engine.service import running_service
from tests.proof import seed

pytestmark = [pytest.mark.chaos(minutes=1), pytest.mark.timeout(300)]

TASKS = 400
_SETTINGS = {
    "heartbeat_timeout": "3", "heartbeat_interval": "0.5", "suspend_timeout": "0.5", "egress_allow": "127.0.0.1",
}  # fmt: skip


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "primary", fsync=False)
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        migrate(connection)
    yield server
    server.stop("immediate")


def test_nothing_acknowledged_is_lost_by_a_failover(
    primary: EmbeddedServer, cache_folder: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed())
    with synchronous_standby(primary, tmp_path / "standby") as standby, proxied(primary.url) as proxy:
        database = Database(proxy.url(primary.url))  # whoever serves it
        with (
            witnesses(database, chance) as scene,
            running_service(database, cache_folder, tmp_path / "log", workers=2, **_SETTINGS),
        ):
            scene.crowd.launch(TASKS)
            wait_until(lambda: _complete(scene) > TASKS // 4, "a quarter of the tasks", 120)
            hit = database.value("SELECT count(*) FROM durable.task WHERE state = 'active'")
            _fail_over(primary, standby, proxy)
            scene.crowd.launch(TASKS // 4)
            wait_until(lambda: _complete(scene) and not scene.unfinished(), "the end of all tasks", 120)
            assert hit, "nothing was running when the primary was lost"
            print(f"failover with {hit} running tasks; {judge(scene)}")
        database.close()


def _complete(scene: Witnesses) -> int:
    scene.crowd.tell(1)
    return int(scene.database.value("SELECT count(*) FROM durable.task WHERE state = 'complete'"))


def _fail_over(primary: EmbeddedServer, standby: EmbeddedServer, proxy: Proxy) -> None:
    primary.stop("immediate")
    take_over(standby)
    proxy.lead_to(standby.url)
