"""The order workflow of the examples, a hundred times, while workers are killed and PostgreSQL crashes."""

from __future__ import annotations

import random
import time

import pytest

from durable.embedded import EmbeddedServer
from tests.chaos.nemesis import Nemesis, seed
from tests.chaos.orders import LUCK, shop
from tests.engine.conftest import StartService
from tests.engine.database import Database

ORDERS = 100
KILLS = 6
RESTARTS = 1


@pytest.mark.timeout(180)
def test_every_order_is_fulfilled_or_undone_once(
    database: Database, server: EmbeddedServer, start_service: StartService
) -> None:
    chance = random.Random(seed())
    with shop(database) as orders:
        service = start_service(workers=2, egress_allow="127.0.0.1", suspend_timeout="0.5")
        nemesis = Nemesis(chance, database, server, service, kills=KILLS, restarts=RESTARTS)
        deadline = time.monotonic() + 120
        unended = "SELECT count(*) FROM durable.task WHERE state IN ('ready', 'active', 'suspended')"
        while database.value(unended) or not nemesis.is_done:
            assert time.monotonic() < deadline, (str(nemesis), database.value(unended))
            if len(orders.orders) < ORDERS or not database.value(unended):
                orders.order(chance, 10)
            if not nemesis.is_done:
                nemesis.strike()
            orders.confirm()
            time.sleep(chance.uniform(0.05, 0.3))
        print(f"{orders.check(nemesis.cut_short)}; {nemesis}")
    assert set(orders.orders.values()) == set(LUCK)
