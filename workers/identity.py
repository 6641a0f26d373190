"""Which process a worker is, and whether the process of another worker of this host is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from durable.store.leases import Suspect, WorkerIdentity
from durable.version import __version__

_START_TIME_FIELD = 19  # of /proc/PID/stat after the command name: starttime, proc(5)


def this_process() -> WorkerIdentity:
    return WorkerIdentity(socket.gethostname(), _boot(), os.getpid(), _started(os.getpid()) or 0, __version__)


def is_gone(suspect: Suspect, observer: WorkerIdentity) -> bool:
    """True when the process of a worker of this boot and pid namespace certainly does not run any more.

    Where the kernel does not tell (no /proc), nothing is certain and the heartbeat decides.
    """
    if not observer.boot or suspect.boot != observer.boot or not suspect.pid_started:
        return False
    return _started(suspect.pid) != suspect.pid_started


def _boot() -> str:
    """The kernel's boot id and the pid namespace, or "" where there is no /proc."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot_id} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> int | None:
    """Kernel start time of a process in clock ticks since boot; None when there is none, or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[_START_TIME_FIELD])
