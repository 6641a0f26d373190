"""The server process: which one it is, whether it is alive, how it is started on its own and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

from durable.embedded.waiting import patiently

StopMode = Literal["smart", "fast", "immediate"]

#: PostgreSQL's manual, "Shutting Down the Server".
SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

#: Seconds. Far more than an execve takes on a host that swaps.
EXEC_TIMEOUT = 10.0

#: The shell ends at once and init adopts the server, so it is no zombie of the caller and no surprise to it.
DETACH = '"$@" </dev/null >&2 & echo $!'


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server process of a cluster as postmaster.pid tells: perhaps long dead, its pid somebody else's."""

    cluster: Path
    pid: int
    status: str = ""  # starting, stopping, ready, standby

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"

    @property
    def is_alive(self) -> bool:
        """True when the pid is a server of this cluster; a zombie or an unrelated process is not."""
        return ("-D", str(self.cluster)) in pairwise(_command_line(self.pid))

    def tell_to_stop(self, mode: StopMode) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, SIGNALS[mode])

    def is_gone_within(self, seconds: float) -> bool:
        """Wait for its end."""
        return any(not self.is_alive for _ in patiently(seconds))


def recorded(cluster: Path) -> Postmaster | None:
    """What postmaster.pid says, dead or alive; None when there is no such file or it is only half written."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        return Postmaster(cluster, int(lines[0]), lines[7].strip() if len(lines) > 7 else "")
    except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
        return None


def running(cluster: Path) -> Postmaster | None:
    """The live server of this cluster, whoever started it and whatever its status."""
    found = recorded(cluster)
    return found if found is not None and found.is_alive else None


def launch(command: Sequence[str], cluster: Path, log: int, env: Mapping[str, str]) -> Postmaster:
    """Start `command`, a postgres for `cluster`, in a session of its own with no descriptor but the log's.

    The server must outlive the caller, its terminal's Ctrl-C and its pipes. Raises OSError.
    """
    shell = subprocess.run(
        ["/bin/sh", "-c", DETACH, "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        env={**env, **_not_a_rival(cluster)},
        start_new_session=True,
        check=True,
    )
    return Postmaster(cluster, int(shell.stdout))


def _not_a_rival(cluster: Path) -> dict[str, str]:
    """Let PostgreSQL overlook a postmaster.pid whose pid now belongs to an unrelated process of this user.

    It takes any such process for a rival and refuses to start, except itself, its parent and the pid in this
    variable (miscinit.c, CreateLockFile). Removing the file instead would also remove the note of the
    shared memory, which protects the data from backends that outlived a killed postmaster.
    """
    stale = recorded(cluster)
    return {} if stale is None or stale.is_alive else {"PG_GRANDPARENT_PID": str(stale.pid)}


def _command_line(pid: int) -> list[str]:
    if os.path.isdir("/proc/self"):
        return _words_in_proc(pid)
    # macOS. The words cannot be told apart there if the path has spaces, hence the split at the option.
    said = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
    program, option, path = said.stdout.strip().partition(" -D ")
    return [program, option.strip(), path.partition(" -c ")[0]]


def _words_in_proc(pid: int) -> list[str]:
    """In the middle of an execve a process has no command line yet: that is waited for, and not taken for its end.

    A server that is being started goes through up to three of them, and on a busy host one can take long.
    """
    with suppress(OSError):
        for _ in patiently(EXEC_TIMEOUT):
            written = Path(f"/proc/{pid}/cmdline").read_text(errors="surrogateescape")
            if written or not _has_memory(pid):
                return written.split("\0")
    return []


def _has_memory(pid: int) -> bool:
    """False for a zombie, and for a thread of the kernel, whose command line is empty for ever. Raises OSError."""
    return not Path(f"/proc/{pid}/statm").read_text().startswith("0 ")
