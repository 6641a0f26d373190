"""The folder with the data ("database cluster" in PostgreSQL's words): made whole or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from durable.embedded.binaries import Binaries
from durable.embedded.errors import EmbeddedPostgresError
from durable.embedded.unprivileged import unprivileged_launch
from durable.embedded.waiting import patiently

DRAFT_PREFIX = "cluster.new-"
INITDB_TIMEOUT = 300.0  # seconds
REMOVE_TIMEOUT = 2.0
ROLE = "durable"

#: Appended to postgresql.conf once; a user's later edits there win.
SETTINGS = """
# Set by durable when it made this folder.
listen_addresses = ''            # the socket folder, which only its owner can enter, is the whole protection
unix_socket_permissions = 0700
max_connections = 200
shared_buffers = 128MB
fsync = on                       # durable promises that nothing acknowledged is lost: leave these three on
synchronous_commit = on
full_page_writes = on
min_wal_size = 160MB             # keeps segments for reuse: making new ones is slow
max_wal_size = 1GB
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = log           # clients are told their errors; here they would fill the disk
log_checkpoints = off
"""


def environment() -> dict[str, str]:
    """What PostgreSQL's programs get to see: they live long, and the caller's variables may hold secrets."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def major_version(cluster: Path) -> int | None:
    """The major version that made this folder; None when it does not exist yet."""
    try:
        return int((cluster / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def initialise(cluster: Path, programs: Binaries, *, fsync: bool = True) -> None:
    """Make a new cluster whose superuser is the role `durable`; under a draft's name until it is whole.

    Without `fsync`, now and ever after, a power failure may destroy it. The caller holds the start lock.
    Raises EmbeddedPostgresError with initdb's reason, or OSError.
    """
    draft = Path(mkdtemp(prefix=DRAFT_PREFIX, dir=cluster.parent))
    try:
        launch = unprivileged_launch(draft, programs.initdb)
        # With fsync, also while making it: a power failure soon after could lose the catalogs otherwise.
        options = [] if fsync else ["--no-sync"]
        _initdb([*launch.prefix, str(programs.initdb), *options], draft)
        _add_settings(draft / "postgresql.conf", SETTINGS if fsync else f"{SETTINGS}fsync = off\n")
        _fsync(draft / "postgresql.conf")
        draft.rename(cluster)
        # Else a power failure could bring the draft's name back, and drafts are removed.
        _fsync(cluster.parent)
    finally:
        _remove(draft)


def remove_drafts(folder: Path) -> None:
    """Remove what interrupted attempts left; an orphaned initdb that still runs in one fails, harmlessly."""
    for draft in folder.glob(f"{DRAFT_PREFIX}*"):
        _remove(draft)


def _remove(draft: Path) -> None:
    for _ in patiently(REMOVE_TIMEOUT):  # a process that is being killed may still be making files there
        shutil.rmtree(draft, ignore_errors=True)
        if not draft.exists():
            return


def _initdb(command: list[str], draft: Path) -> None:
    # Trust, because only the owner can enter the socket's folder: there is nobody to ask for a password.
    options = ["--auth-local=trust", "--auth-host=reject", "--encoding=UTF8", "--locale=C"]
    with subprocess.Popen(
        [*command, "-D", str(draft), "-U", ROLE, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment(),
        start_new_session=True,  # a Ctrl-C is for the caller, who then ends all of it
    ) as initdb:
        try:
            _, said = initdb.communicate(timeout=INITDB_TIMEOUT)
        except BaseException:
            with suppress(ProcessLookupError):  # it has just ended
                os.killpg(initdb.pid, signal.SIGKILL)
            raise
    if initdb.returncode != 0:
        raise EmbeddedPostgresError(f"cannot make a database in {draft.parent}: {_reason(said)}")


def _reason(said: str) -> str:
    lines = said.splitlines() or ["initdb failed and said nothing"]
    return next((line for line in lines if "error:" in line or "FATAL:" in line), lines[0])


def _add_settings(file: Path, settings: str) -> None:
    with file.open("a") as conf:
        conf.write(settings)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
