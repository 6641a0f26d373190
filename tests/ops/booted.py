"""A real systemd, booted for the tests in namespaces of its own, in which nothing runs but a journal and our unit.

It needs root. Nothing of it reaches the machine: process ids, mounts, host name and control groups are its own, /etc is
an overlay, and it ends with the process that started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.database import wait_until

# The journal alone, without what it wants of a whole machine.
_JOURNAL = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_DISTRIBUTION = Path("/lib/systemd/system")
_TARGETS = ("sysinit", "basic", "multi-user", "network-online", "shutdown")

# /etc/machine-id and the like have to be there, and nothing of it may be changed: hence the overlay.
_INIT = """
set -e
mount --make-rprivate /
mount --make-rshared /
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t proc proc /proc
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
: > {folder}/console
mount --bind {folder}/console /dev/console
for hidden in /run /var/lib /var/cache /var/log; do mount -t tmpfs -o mode=755 tmpfs $hidden; done
mkdir -p /run/lock /run/overlay/upper /run/overlay/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/overlay/upper,workdir=/run/overlay/work /etc
export container=test SYSTEMD_UNIT_PATH={folder}/units
exec {systemd} --system --unit=test.target --log-target=console
"""


def _systemd() -> str | None:
    places = ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
    return next((place for place in places if os.access(place, os.X_OK)), None)


def _cgroups() -> Path | None:
    """Where the hierarchy of version 2 is mounted."""
    mounts = Path("/proc/self/mountinfo")
    lines = mounts.read_text().splitlines() if mounts.exists() else []
    return next((Path(line.split()[4]) for line in lines if " - cgroup2 " in line), None)


def why_not() -> str | None:
    """What is missing for a systemd here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root can make namespaces for a systemd"
    missing = [name for name in ("unshare", "nsenter", "systemctl", "journalctl") if not shutil.which(name)]
    if missing or not _systemd():
        return f"{', '.join(missing) or 'systemd'} is not installed (Debian: apt install systemd)"
    cgroups = _cgroups()
    if cgroups is None or not os.access(cgroups, os.W_OK):
        return "there are no control groups of version 2 to be had"
    return None


class Systemd:
    def __init__(self, folder: Path, pid: int) -> None:
        self.units = folder / "units"
        self._pid = pid

    def run(self, *command: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--uts", "--ipc", "--cgroup"]
        return subprocess.run([*inside, *command], input=stdin, capture_output=True, text=True, timeout=100)

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("env", f"SYSTEMD_UNIT_PATH={self.units}", "systemctl", "--no-pager", *arguments)

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).stdout.strip()

    def journal(self, unit: str) -> str:
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}").stdout

    def write(self, path: str, text: str, mode: str = "600") -> None:
        """A file that exists in there only."""
        self.run("install", "-D", f"--mode={mode}", "/dev/stdin", path, stdin=text)


@contextmanager
def booted_systemd(folder: Path) -> Iterator[Systemd]:
    """Until the end of the context. `folder` is for its units and its console."""
    units = folder / "units"
    units.mkdir(parents=True)
    _write_units(units)
    group = (_cgroups() or Path()) / f"durable-test-{os.getpid()}"
    group.mkdir()
    init = folder / "init"
    init.write_text(_INIT.format(folder=folder, systemd=_systemd()))
    join = f'echo $$ > {group}/cgroup.procs; exec unshare --pid --mount --uts --ipc --cgroup --fork --kill-child "$@"'
    unshare = subprocess.Popen(
        ["sh", "-c", join, "sh", "sh", str(init)],
        env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        systemd = Systemd(folder, wait_until(lambda: _child(unshare), "the first process"))
        wait_until(lambda: systemd.systemctl("is-active", "test.target").stdout == "active\n", "systemd is up")
        yield systemd
    finally:
        unshare.send_signal(signal.SIGKILL)  # and, by --kill-child, all that is in there
        unshare.communicate()
        wait_until(lambda: _removed(group), "all of it has ended")


def _child(unshare: subprocess.Popen[bytes]) -> int | None:
    if unshare.poll() is not None:
        raise AssertionError(f"unshare failed: {unshare.communicate()[1].decode()}")
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
    return int(children[0]) if children else None


def _removed(group: Path) -> bool:
    """Groups can be removed once the last process in them has ended."""
    try:
        for inner in sorted(group.rglob("*/"), reverse=True):
            inner.rmdir()
        group.rmdir()
    except OSError:
        return False
    return True


def _write_units(units: Path) -> None:
    for name in _JOURNAL:
        text = (_DISTRIBUTION / name).read_text()
        kept = [line for line in text.splitlines() if not line.startswith(("After=", "Before=", "Requires=", "Conf"))]
        (units / name).write_text("\n".join(kept))
    for name in _TARGETS:
        (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "test.target").write_text(
        "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.service\nAfter=systemd-journald.service\n"
    )
