"""One real PostgreSQL per test process, one fresh database per test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.proof import IS_FULL

_TEMPLATE = "durable_template"
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the full figures the longest begin first, so that no processor is idle at the end."""
    if IS_FULL:
        items.sort(key=lambda item: -_minutes(item))


def _minutes(item: pytest.Item) -> int:
    marks = [mark for name in ("chaos", "proof") for mark in item.iter_markers(name)]
    return max((mark.kwargs.get("minutes", 0) for mark in marks), default=0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("postgres"), fsync=False)  # survives every kill, and is quicker
    server.ensure_running()
    yield server
    server.stop("immediate")


def url_of(server: EmbeddedServer, database: str) -> str:
    return server.url.replace("/durable?", f"/{database}?", 1)


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_TEMPLATE}")
    with psycopg.connect(url_of(server, _TEMPLATE), autocommit=True) as connection:
        migrate(connection)
    return _TEMPLATE


@pytest.fixture
def database_url(server: EmbeddedServer, template: str) -> Iterator[str]:
    """The URL of a database with an empty durable schema, for this test alone."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield url_of(server, name)
    server.ensure_running()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled programs are kept over the tests of one process: each workflow is compiled once."""
    return tmp_path_factory.mktemp("cache")
