"""`durable supervise`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from durable import log_format
from durable.cli.invocation import EMBEDDED, Invocation, check_schema, migrate
from durable.cli.options import Command, with_key_options
from durable.config import Config
from durable.errors import ConfigError
from durable.plugins.installed import installed

if TYPE_CHECKING:
    from workers.keeper import RunKeeper


@click.command(cls=Command, epilog="durable supervise --workers 4 --migrate\ndurable supervise --config prod.toml")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Worker processes; one per CPU when not given.")
@click.option("--migrate", "migrates", is_flag=True, help="Bring the database schema up to date first.")
@click.pass_obj
def supervise(invocation: Invocation, workers: int | None, migrates: bool) -> int:
    """Run tasks, with a supervisor and N workers.

    It ends at SIGTERM or SIGINT. Without a database URL it runs an embedded PostgreSQL for this user, and migrates
    that by itself.
    """
    config = invocation.config
    log_format.set_up(config.log_format, config.log_level)
    # Their modules are imported once, before the fork, and one that is broken is told before anything starts.
    installed(config.plugins)
    count = workers or os.cpu_count() or 1
    if config.database_url is None:
        return _with_embedded(invocation, count)
    if migrates:
        migrate(config.database_url)
    check_schema(config.database_url)
    return _fork(config, count, partial(_read_again, invocation, None))


def _with_embedded(invocation: Invocation, workers: int) -> int:
    from durable.embedded import EmbeddedServer
    from workers import keeper_process

    server = EmbeddedServer()
    with server.hold() as holder:
        migrate(holder.url)
        config = invocation.config.with_database_url(holder.url, EMBEDDED)
        keep = partial(keeper_process.run, server.revive)
        return _fork(config, workers, partial(_read_again, invocation, holder.url), keep)


def _read_again(invocation: Invocation, embedded_url: str | None) -> Config:
    """The configuration for workers that are started from now on. `embedded_url` is that of our own server."""
    config = invocation.read_config()
    if (config.database_url is None) != (embedded_url is not None):
        raise ConfigError("to change between the embedded server and another database, restart the service")
    return config if embedded_url is None else config.with_database_url(embedded_url, EMBEDDED)


def _fork(config: Config, workers: int, reload: Callable[[], Config], run_keeper: RunKeeper | None = None) -> int:
    """From here on processes are forked: no connection may be open and no thread alive."""
    from workers.supervisor import supervise as run_workers

    return run_workers(config, workers, reload=reload, run_keeper=run_keeper)


with_key_options(supervise)
