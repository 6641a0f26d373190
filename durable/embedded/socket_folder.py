"""The folder of the server's socket: in the data folder, or elsewhere if that path does not do."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from durable.embedded.errors import EmbeddedPostgresError
from durable.embedded.private import Owner, private_folder

PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
#: Bytes of sockaddr_un.sun_path without the final NUL.
LONGEST_PATH = 103 if sys.platform == "darwin" else 107


def current(data_folder: Path) -> Path:
    """The folder prepared last; a symbolic link in the data folder records one that lies elsewhere."""
    return Path(os.path.realpath(data_folder / "socket"))


def url(data_folder: Path, database: str, role: str) -> str:
    """A connection URL; the port is named because libpq would take another from PGPORT."""
    host = quote(os.fsencode(current(data_folder)), safe="")
    return f"postgresql://{role}@/{database}?host={host}&port={PORT}"


def has_socket(data_folder: Path) -> bool:
    """True when a server made its socket there; it may have died since."""
    return os.path.exists(current(data_folder) / SOCKET)


def options(folder: Path) -> list[str]:
    """The server's options to listen in `folder`, whatever characters its path has."""
    quoted = str(folder).replace('"', '""')
    return ["-c", f"port={PORT}", "-c", f'unix_socket_directories="{quoted}"']


def prepare(data_folder: Path, owner: Owner) -> Path:
    """Make the folder for a server that runs as `owner`; the same one as last time if it can still be used.

    No server of this data folder may be alive. Raises EmbeddedPostgresError when no folder will do.
    """
    for folder in _choices(data_folder, owner):
        if _can_be_named(folder):
            with suppress(OSError):
                private_folder(folder, owner)
                # PostgreSQL would make way for whatever process has the dead server's pid now.
                (folder / f"{SOCKET}.lock").unlink(missing_ok=True)
                _record(data_folder, folder)
                return folder
    raise EmbeddedPostgresError(f"no folder was found for the socket of the server in {data_folder}")


def remove_elsewhere(data_folder: Path) -> None:
    """Leave nothing behind outside the data folder."""
    folder = data_folder / "socket"
    if folder.is_symlink():
        with suppress(OSError):
            current(data_folder).rmdir()
        folder.unlink()


def _can_be_named(folder: Path) -> bool:
    """False for paths that are too long for a socket, hold a comma (two hosts to libpq) or are no UTF-8."""
    path = str(folder / SOCKET)
    try:
        return len(path.encode()) <= LONGEST_PATH and "," not in path
    except UnicodeEncodeError:
        return False


def _choices(data_folder: Path, owner: Owner) -> Iterator[Path]:
    yield current(data_folder)
    yield data_folder / "socket"
    name = f"durable-{owner.uid}-{hashlib.sha256(os.fsencode(data_folder)).hexdigest()[:12]}"
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):
        if base and os.path.isabs(base):
            yield Path(base) / name
    yield Path(tempfile.mkdtemp(prefix="durable-", dir="/tmp"))  # somebody took all those names


def _record(data_folder: Path, folder: Path) -> None:
    link = data_folder / "socket"
    if folder not in (link, current(data_folder)):
        link.unlink(missing_ok=True)
        link.symlink_to(folder)
