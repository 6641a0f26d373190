"""Two thousand orders with faults: each step once in the shop, at least once at the payment service, none lost."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from durable.embedded import EmbeddedServer
from tests.chaos.nemesis import Nemesis, seed
from tests.chaos.orders import shop
from tests.engine.database import Database
from tests.engine.service import running_service

pytestmark = [pytest.mark.chaos(minutes=4), pytest.mark.timeout(1500)]

ORDERS = 2000
WAVE = 100
KILLS = 100
RESTARTS = 5


def test_every_order_is_fulfilled_or_undone_once(
    database: Database, server: EmbeddedServer, cache_folder: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed())
    with (
        shop(database) as orders,
        running_service(
            database, cache_folder, tmp_path / "log", workers=2, egress_allow="127.0.0.1", suspend_timeout="0.5"
        ) as service,
    ):
        nemesis = Nemesis(chance, database, server, service, kills=KILLS, restarts=RESTARTS)
        deadline = time.monotonic() + 1200
        while not nemesis.is_done or len(orders.orders) < ORDERS:
            assert time.monotonic() < deadline, (str(nemesis), len(orders.orders))
            if database.value("SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active')") < WAVE:
                orders.order(chance, WAVE)
            nemesis.keep_up(len(orders.orders) / ORDERS)
            orders.confirm()
            time.sleep(chance.uniform(0.1, 0.5))
        while database.value("SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active', 'suspended')"):
            assert time.monotonic() < deadline
            orders.confirm()
            time.sleep(0.1)
        print(f"{orders.check(nemesis.cut_short)}; {nemesis}")
    assert service.process.returncode == 0, service.log[-3000:]
    assert nemesis.is_done
