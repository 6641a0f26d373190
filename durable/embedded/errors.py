"""The one error of this package."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from durable.errors import DatabaseUnavailable

OWN_SERVER = "set DURABLE_DATABASE_URL to use a PostgreSQL server of your own"


class EmbeddedPostgresError(DatabaseUnavailable):
    """The embedded PostgreSQL cannot be found, made, started or stopped: what is wrong, and what to do."""

    def __init__(self, problem: str, advice: str = OWN_SERVER) -> None:
        super().__init__(f"{problem}\n{advice}")


@contextmanager
def foreign_errors(data_folder: Path) -> Iterator[None]:
    """Turn what the system, a program or psycopg raises into an EmbeddedPostgresError."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedPostgresError(
            f"cannot use the data folder {data_folder}{_whose(data_folder)}: {error}",
            "run durable as its owner, or set XDG_DATA_HOME or DURABLE_DATABASE_URL",
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedPostgresError(f"cannot use the data folder {data_folder}: {error}") from error
    except psycopg.Error as error:
        reason = str(error).partition("\n")[0]
        raise EmbeddedPostgresError(f"cannot use PostgreSQL in {data_folder}: {reason}") from error


def _whose(folder: Path) -> str:
    try:
        return f" of {folder.owner()}"
    except (OSError, KeyError):
        return ""
