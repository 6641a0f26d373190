"""The embedded server as the rest of durable sees it: make sure that it runs, hold it, stop it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from durable.embedded import postmaster, socket_folder
from durable.embedded.binaries import binaries
from durable.embedded.cluster import ROLE, environment, initialise, major_version, remove_drafts
from durable.embedded.errors import OWN_SERVER, EmbeddedPostgresError, foreign_errors
from durable.embedded.holder import Holder
from durable.embedded.lock import alone
from durable.embedded.postmaster import Postmaster, StopMode
from durable.embedded.private import open_private
from durable.embedded.readiness import answers, has_database
from durable.embedded.serverlog import ServerLog
from durable.embedded.unprivileged import unprivileged_launch
from durable.embedded.waiting import patiently

DATABASE = "durable"
SAY_WHY_AFTER = 5.0  # seconds of silence before the user is told what is waited for

logger = logging.getLogger(__name__)


def default_data_folder() -> Path:
    """The user's own: $XDG_DATA_HOME/durable/postgres, else ~/.local/share/durable/postgres."""
    base = os.environ.get("XDG_DATA_HOME", "")
    try:
        shared = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise EmbeddedPostgresError("this user has no home folder for a database") from error
    return shared / "durable" / "postgres"


class EmbeddedServer:
    """The PostgreSQL server of one data folder, shared by all processes that name the same folder.

    An instance holds paths and nothing else: any number of them, in any process, before or after a fork, mean
    the same server. `start_timeout` (seconds) bounds every wait; crash recovery can take minutes.
    `fsync=False` is for tests: a folder made that way is fast, survives every kill, but no power failure.

    The role `durable` of its URL is a superuser of the database, so it can do to files whatever the user can:
    foreign SQL (a guest's) must log in as another role.
    """

    def __init__(self, data_folder: Path | None = None, *, start_timeout: float = 300.0, fsync: bool = True) -> None:
        self.data_folder = (data_folder or default_data_folder()).resolve()
        self._cluster = self.data_folder / "cluster"
        self._log = ServerLog(self.data_folder / "postgres.log")
        self._stop_mark = self.data_folder / "stopped"
        self._timeout = start_timeout
        self._fsync = fsync

    def ensure_running(self) -> str:
        """Return the URL of the database `durable`, having made and started whatever was missing.

        Takes milliseconds when the server runs; waits for a start, a crash recovery or a shutdown that is
        under way. Raises EmbeddedPostgresError.
        """
        if not self._answers():
            with self._alone():
                self._bring_up()
        return self.url

    def revive(self) -> bool:
        """Start the server again if it has died; leave one alone that `stop` has stopped. True if it was started here.

        Reads two small files as long as it lives. Never makes a database: an empty one in the place of one that is
        gone would hide the loss. Raises EmbeddedPostgresError.
        """
        if self.is_running:
            return False
        if self.version is None:
            raise EmbeddedPostgresError(f"there is no database in {self.data_folder} any more")
        with self._alone():
            # Asked with the lock held: whoever had it may have stopped the server, or started it.
            if self._stop_mark.exists() or self.is_running:
                return False
            self._bring_up()
        return True

    def hold(self) -> Holder:
        """A context manager that keeps the server running; the last holder to leave stops it (fast)."""
        return Holder(self, self.data_folder / "holders.lock", self._timeout)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and wait for its end; holders are not asked, and `revive` leaves it alone from then on.

        Raises EmbeddedPostgresError.
        """
        if os.path.exists(self._cluster):
            with self._alone():
                # First, since a server that was told to stop cannot be told otherwise, whatever becomes of us.
                self._mark_as_stopped()
                self._stop(mode)
                socket_folder.remove_elsewhere(self.data_folder)

    def restart(self, mode: StopMode = "fast") -> str:
        """Stop and start; `immediate` is a crash with recovery. Returns the URL, the same as before.

        Raises EmbeddedPostgresError.
        """
        with self._alone():
            self._stop(mode)
            self._bring_up()
        return self.url

    @property
    def url(self) -> str:
        """The connection URL, the same after a restart. Only `ensure_running` sees to it that it answers."""
        return socket_folder.url(self.data_folder, DATABASE, ROLE)

    @property
    def is_running(self) -> bool:
        """True while the server process lives, be it starting, recovering or stopping."""
        return self.pid is not None

    @property
    def pid(self) -> int | None:
        """Process id of the live server."""
        found = postmaster.running(self._cluster)
        return None if found is None else found.pid

    @property
    def version(self) -> int | None:
        """Major version of PostgreSQL that the data folder belongs to; None before the first start."""
        return major_version(self._cluster)

    def _answers(self) -> bool:
        return socket_folder.has_socket(self.data_folder) and answers(self.url)

    def _bring_up(self) -> None:
        """With the start lock held: make the cluster if there is none, start a dead server, wait for it."""
        if self._answers():  # another process did it while this one waited for the lock
            return
        self._stop_mark.unlink(missing_ok=True)
        remove_drafts(self.data_folder)
        programs = binaries(self.data_folder / "binaries", self.version)
        if self.version is None:
            initialise(self._cluster, programs, fsync=self._fsync)
        self._wait_until_ready(programs.postgres)

    def _wait_until_ready(self, postgres: Path) -> None:
        started: Postmaster | None = None
        told = False
        for waited in patiently(self._timeout):
            alive = postmaster.running(self._cluster)
            if alive is not None and alive.is_ready:
                if self._is_usable():
                    return
            elif alive is None and (started is None or not started.is_alive):
                self._check_failed_start(started)
                started = self._start(postgres)
            if waited > SAY_WHY_AFTER and not told:
                told = True
                logger.warning("waiting for PostgreSQL in %s: %s", self.data_folder, _condition(alive))
        raise EmbeddedPostgresError(
            f"PostgreSQL in {self.data_folder} took no connections for {self._timeout:.0f} s",
            f"see {self._log.path}, and try again if it is still recovering from a crash",
        )

    def _is_usable(self) -> bool:
        if socket_folder.has_socket(self.data_folder):
            return has_database(socket_folder.url(self.data_folder, "postgres", ROLE), DATABASE)
        # Something cleaned the temporary folder up: this server will never be reached again.
        self._stop("fast")
        return False

    def _check_failed_start(self, started: Postmaster | None) -> None:
        if started is None:
            return
        reason = self._log.reason(started.pid)
        # Backends of a killed postmaster finish their statement; while they do, no server can and must start.
        if "shared memory block" not in reason:
            raise EmbeddedPostgresError(f"PostgreSQL did not start: {reason}", f"see {self._log.path}, or {OWN_SERVER}")

    def _start(self, postgres: Path) -> Postmaster:
        launch = unprivileged_launch(self._cluster, postgres)
        folder = socket_folder.prepare(self.data_folder, launch.owner)
        command = [*launch.prefix, str(postgres), "-D", str(self._cluster), *socket_folder.options(folder)]
        with self._log.opened() as log:
            return postmaster.launch(command, self._cluster, log, environment())

    def _stop(self, mode: StopMode) -> None:
        server = postmaster.running(self._cluster)
        if server is None:
            return
        server.tell_to_stop(mode)
        if not server.is_gone_within(self._timeout):
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {server.pid}) still runs {self._timeout:.0f} s after a {mode} shutdown",
                f"see {self._log.path} for what it waits for",
            )

    def _mark_as_stopped(self) -> None:
        with suppress(OSError):  # a full disk must keep nobody from stopping it
            os.close(open_private(self._stop_mark))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time makes, starts or stops the server."""
        with foreign_errors(self.data_folder):
            self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(self.data_folder / "start.lock", self._timeout):
                yield


def _condition(server: Postmaster | None) -> str:
    if server is None:
        return "it is being started"
    if server.is_ready:
        return f"process {server.pid} is ready, but takes no connections yet"
    return f"process {server.pid} is {server.status or 'starting'}, perhaps recovering from a crash"
