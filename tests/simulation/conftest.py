from __future__ import annotations

from collections.abc import Iterator

import pytest

from durable.embedded import EmbeddedServer
from workers.simulation import SimulatedDatabase, scratch_database


@pytest.fixture(scope="session")
def simulated(server: EmbeddedServer) -> Iterator[SimulatedDatabase]:
    """A database for simulations, one after the other."""
    with scratch_database(server.url) as database:
        yield database
