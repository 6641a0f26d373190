"""A network that breaks while a worker starts is the database's absence, whenever it happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from durable import config
from durable.errors import DatabaseUnavailable
from tests.chaos.proxy import Proxy, proxied
from workers.worker import Worker


class Unlucky(Worker):
    """Its network breaks after it has found the database and before it registers."""

    def __init__(self, proxy: Proxy, settings: config.Config) -> None:
        super().__init__(settings)
        self._proxy = proxy

    def _prepare(self) -> Any:
        prepared = super()._prepare()
        self._proxy.refuses = True
        self._proxy.cut()
        return prepared


def test_a_database_that_goes_away_while_a_worker_starts_cannot_be_reached(
    database_url: str, cache_folder: Path
) -> None:
    async def start(proxy: Proxy) -> None:
        settings = {"database_url": proxy.url(database_url), "cache_folder": str(cache_folder)}
        await Unlucky(proxy, config.load(settings, {})).start()

    with proxied(database_url) as proxy, pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        asyncio.run(start(proxy))
