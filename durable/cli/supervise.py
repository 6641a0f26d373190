"""`durable supervise`."""

from __future__ import annotations

import os

import click

from durable import log_format
from durable.cli.invocation import EMBEDDED, Invocation, check_schema, migrate
from durable.cli.options import Command, with_key_options
from durable.config import Config
from durable.plugins.installed import installed


@click.command(cls=Command, epilog="durable supervise --workers 4 --migrate\ndurable supervise --config prod.toml")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Worker processes; one per CPU when not given.")
@click.option("--migrate", "migrates", is_flag=True, help="Bring the database schema up to date first.")
@click.pass_obj
def supervise(invocation: Invocation, workers: int | None, migrates: bool) -> int:
    """Run tasks, with a supervisor and N workers, until SIGTERM or SIGINT.

    Without a database URL it runs an embedded PostgreSQL for this user, and migrates that by itself.
    """
    config = invocation.config
    log_format.set_up(config.log_format, config.log_level)
    # Their modules are imported once, before the fork, and one that is broken is told before anything starts.
    installed(config.plugins)
    count = workers or os.cpu_count() or 1
    if config.database_url is None:
        return _with_embedded(config, count)
    if migrates:
        migrate(config.database_url)
    check_schema(config.database_url)
    return _fork(config, count)


def _with_embedded(config: Config, workers: int) -> int:
    from durable.embedded import EmbeddedServer

    with EmbeddedServer().hold() as server:
        migrate(server.url)
        return _fork(config.with_database_url(server.url, EMBEDDED), workers)


def _fork(config: Config, workers: int) -> int:
    """From here on processes are forked: no connection may be open and no thread alive."""
    from workers.supervisor import supervise as run_workers

    return run_workers(config, workers)


with_key_options(supervise)
