"""One run of the command: its flags, the configuration they lead to, and the database it works on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from durable import log_format
from durable.client import Client
from durable.config import KEYS, Config, load
from durable.drivers.blocking import Single
from durable.drivers.connecting import connect
from durable.drivers.faults import translated
from durable.plugins.installed import installed
from durable.store import migrations

EMBEDDED = "the embedded server"


class Invocation:
    """Made anew for every command line. Nothing is read, connected or started before it is asked for."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.flags: dict[str, object] = {}
        self._connection: Single | None = None

    @property
    def debug(self) -> bool:
        return bool(self.flags.get("debug"))

    @property
    def output(self) -> str:
        return str(self.flags.get("output", "table"))

    @cached_property
    def config(self) -> Config:
        """The configuration; logging is set up by it. Raises ConfigError."""
        config = self.read_config()
        set_up_logging(config)
        return config

    def read_config(self) -> Config:
        """The configuration as it is now: the file may have changed. Raises ConfigError."""
        file = self.flags.get("config")
        keys = {name: value for name, value in self.flags.items() if name in KEYS}
        return load(keys, self.environ, Path(str(file)) if file else None)

    @cached_property
    def database_url(self) -> str:
        """As configured, or else that of the embedded server, which is started and migrated when needed."""
        return self.config.database_url or embedded_url()

    @cached_property
    def client(self) -> Client:
        """A client that uses one connection, closed when the command ends. Raises SchemaMismatch: a command that
        does its work by halves is worse than one that does nothing.
        """
        self._connection = Single(self.database_url)
        with self._connection.connection() as connection, translated():
            migrations.check_schema(connection)
        config = self.config
        return Client(
            self._connection,
            max_notification_bytes=config.max_notification_bytes,
            max_task_data_bytes=config.max_task_data_bytes,
            plugins=lambda: installed(config.plugins),
        )

    def close(self) -> None:
        """Close the connection. Whatever comes after in this process finds none open."""
        if self._connection is not None:
            self._connection.close()


def set_up_logging(config: Config) -> None:
    """For commands that people read: warnings, in words, unless something else was asked for."""
    asked = config.source_of("log_level") != "default"
    format = "human" if config.source_of("log_format") == "default" else config.log_format
    log_format.set_up(format, config.log_level if asked else "warning")


def embedded_url() -> str:
    """The URL of the embedded server, which now runs with the schema of this version of durable."""
    # Here and not above: who has a database of their own must not pay for the import.
    from durable.embedded import EmbeddedServer

    url = EmbeddedServer().ensure_running()
    migrate(url)
    return url


def migrate(url: str) -> list[migrations.Step]:
    """Bring the schema to the latest version. Raises DatabaseUnavailable, SchemaMismatch."""
    with connect(url) as connection, translated():
        return migrations.migrate(connection)


def check_schema(url: str) -> None:
    """Raise SchemaMismatch unless the schema is the one that this durable works with."""
    with connect(url) as connection, translated():
        migrations.check_schema(connection)
