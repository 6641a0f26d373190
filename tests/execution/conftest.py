from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from tests.conftest import url_of
from tests.execution.tables import Tables


@pytest.fixture(scope="session")
def journal_url(server: EmbeddedServer, template: str) -> str:
    """One database for all tests of this package: each has tasks of its own in it."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE test_execution TEMPLATE {template}")
    return url_of(server, "test_execution")


@pytest.fixture
def tables(journal_url: str) -> Iterator[Tables]:
    with psycopg.connect(journal_url, autocommit=True) as connection:
        yield Tables(connection)
