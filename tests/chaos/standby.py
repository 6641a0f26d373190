"""A second PostgreSQL that follows a first one by streaming replication, and takes over from it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from durable.embedded import EmbeddedServer, postmaster, socket_folder
from durable.embedded.binaries import binaries
from durable.embedded.cluster import environment
from durable.embedded.serverlog import ServerLog
from durable.embedded.unprivileged import unprivileged_launch
from tests.engine.database import wait_until


@contextmanager
def synchronous_standby(primary: EmbeddedServer, folder: Path) -> Iterator[EmbeddedServer]:
    """A running standby; from here on the primary acknowledges nothing that the standby does not have."""
    standby = EmbeddedServer(folder, fsync=False)
    cluster = folder / "cluster"
    cluster.mkdir(parents=True, mode=0o700)
    programs = binaries(folder / "binaries", primary.version)
    launch = unprivileged_launch(cluster, programs.postgres)
    _copy(primary, cluster, [*launch.prefix, str(programs.postgres.with_name("pg_basebackup"))])
    try:
        sockets = socket_folder.prepare(folder, launch.owner)
        command = [*launch.prefix, str(programs.postgres), "-D", str(cluster), *socket_folder.options(sockets)]
        with ServerLog(folder / "postgres.log").opened() as log:
            postmaster.launch(command, cluster, log, environment())
        _demand_synchrony(primary)
        yield standby
    finally:
        standby.stop("immediate")


def take_over(standby: EmbeddedServer) -> None:
    """Make it a primary."""
    with psycopg.connect(standby.url, autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")


def _copy(primary: EmbeddedServer, cluster: Path, command: list[str]) -> None:
    host = socket_folder.current(primary.data_folder)
    subprocess.run(
        [*command, "-h", str(host), "-p", str(socket_folder.PORT), "-U", "durable", "-D", str(cluster), "-R",
         "--checkpoint=fast", "--no-sync"],
        check=True, env=environment(),
    )  # fmt: skip


def _demand_synchrony(primary: EmbeddedServer) -> None:
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        connection.execute("SELECT pg_reload_conf()")
        wait_until(
            lambda: connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone(),
            "a synchronous standby", 60,
        )  # fmt: skip
