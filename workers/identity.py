"""Which process a worker is, and whether the process of another worker of this host is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from durable.store.leases import Suspect, WorkerIdentity
from durable.version import __version__

_START_TIME_FIELD = 19  # of /proc/PID/stat after the command name: starttime, proc(5)


def this_process(*, supervised: bool = False) -> WorkerIdentity:
    """`supervised`: the parent of this process takes care of what it leaves behind when it dies."""
    pid, supervisor = os.getpid(), os.getppid() if supervised else 0
    return WorkerIdentity(
        socket.gethostname(), _boot(), pid, _started(pid) or 0, supervisor, _started(supervisor) or 0, __version__
    )


def is_gone(suspect: Suspect, observer: WorkerIdentity) -> bool:
    """True when the process of a worker of this boot and pid namespace certainly does not run any more.

    While its supervisor lives that one sees to it, and knows more: which task the worker was computing for.
    Where the kernel does not tell (no /proc, or one that hides the processes of other users), nothing is certain and
    the heartbeat decides.
    """
    if not observer.boot or suspect.boot != observer.boot or not suspect.pid_started:
        return False
    if suspect.supervisor and not _has_ended(suspect.supervisor, suspect.supervisor_started):
        return False
    return _has_ended(suspect.pid, suspect.pid_started)


def _has_ended(pid: int, started: int) -> bool:
    if _stat(pid) is None:
        return not _exists(pid)
    return _started(pid) != started


def _boot() -> str:
    """The kernel's boot id and the pid namespace, or "" where there is no /proc."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Kernel start time of a process in clock ticks since boot; None when there is none, or a zombie."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else int(fields[_START_TIME_FIELD])


def _stat(pid: int) -> list[str] | None:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _exists(pid: int) -> bool:
    """Whether there is such a process, though hidepid= or ProtectProc= may keep it out of our /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
