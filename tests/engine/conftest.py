from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.engine.database import Database
from tests.engine.service import Service, running_service
from tests.net.conftest import Serve
from tests.net.servers import serving


class StartService(Protocol):
    def __call__(self, *, workers: int = 2, **settings: str) -> Service: ...


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def start_service(database: Database, cache_folder: Path, tmp_path: Path) -> Iterator[StartService]:
    """Starts `durable supervise` with settings such as `poll_interval="0.2"`; stopped after the test."""
    with ExitStack() as services:

        def start(*, workers: int = 2, **settings: str) -> Service:
            log = tmp_path / "service.log"
            return services.enter_context(running_service(database, cache_folder, log, workers=workers, **settings))

        yield start


@pytest.fixture
def service(start_service: Callable[[], Service]) -> Service:
    """Two workers with the default settings."""
    return start_service()


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as servers:
        yield lambda behave, context=None, host="127.0.0.1": servers.enter_context(serving(behave, context, host))
