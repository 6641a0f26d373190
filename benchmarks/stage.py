"""What every benchmark stands on: a PostgreSQL server, fresh databases in it, and the service."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from benchmarks.machine import disk_folder
from benchmarks.processes import children
from durable.embedded import EmbeddedServer
from durable.store.migrations import migrate
from tests.engine.database import Database
from tests.engine.service import Service, running_service

_TEMPLATE = "bench_template"


class Stage:
    """`rounds` is how often everything is measured after its warm-up, `scale` shrinks the amount of work."""

    def __init__(self, server: EmbeddedServer, folder: Path, rounds: int, scale: float) -> None:
        self.server = server
        self.folder = folder
        self.rounds = rounds
        self._scale = scale
        self._numbers = itertools.count(1)

    def size(self, full: int) -> int:
        """This many, or fewer when the run is scaled down."""
        return max(1, round(full * self._scale))

    @contextmanager
    def database(self) -> Iterator[Database]:
        """An empty durable schema, so that no benchmark sees the rows of another."""
        name = f"bench_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        with closing(Database(_url(self.server, name))) as database:
            yield database
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def service(self, database: Database, *, workers: int, **settings: str) -> Iterator[Service]:
        """`durable supervise`, with all workers registered; compiled programs are shared by all benchmarks."""
        log = self.folder / f"service-{next(self._numbers)}.log"
        with running_service(database, self.cache_folder, log, workers=workers, **settings) as service:
            yield service

    def database_pids(self) -> list[int]:
        """PostgreSQL's processes: the postmaster and all that it has forked."""
        postmaster = self.server.pid
        assert postmaster is not None
        return [postmaster, *children(postmaster)]

    @property
    def cache_folder(self) -> Path:
        return self.folder / "cache"

    def make_template(self) -> None:
        self._execute(f"CREATE DATABASE {_TEMPLATE}")
        with psycopg.connect(_url(self.server, _TEMPLATE), autocommit=True) as connection:
            migrate(connection)

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def new_stage(rounds: int, scale: float) -> Iterator[Stage]:
    """A stage in a temporary folder, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="durable-bench-", dir=disk_folder()))
    server = EmbeddedServer(folder / "postgres")
    try:
        server.ensure_running()
        stage = Stage(server, folder, rounds, scale)
        stage.make_template()
        yield stage
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _url(server: EmbeddedServer, database: str) -> str:
    return server.url.replace("/durable?", f"/{database}?", 1)
