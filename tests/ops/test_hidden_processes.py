"""Under ProtectProc=invisible a worker does not see the processes of other users. Not to be seen is not to be gone."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from durable.store.leases import Suspect
from workers.identity import is_gone, this_process

# Becomes a process of another user, with a /proc of its own in which it sees nobody else's, and says of each pid
# whether it is visible and whether it is gone.
LOOK = """
import ctypes, os, sys
from durable.store.leases import Suspect
from workers.identity import is_gone, this_process

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)
if (
    libc.unshare(CLONE_NEWNS)
    or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)
    or libc.mount(b"proc", b"/proc", b"proc", 0, sys.argv[1].encode())
):
    sys.exit(77)
os.setgroups([]), os.setresgid(*[65534] * 3), os.setresuid(*[65534] * 3)
me = this_process()
for pid in map(int, sys.argv[2:]):
    readable = os.access(f"/proc/{pid}/stat", os.R_OK)
    print(readable, is_gone(Suspect(1, me.boot, pid, me.pid_started, 0, 0, False), me))
"""
CANNOT_HIDE = 77


def _suspect(pid: int, started: int) -> Suspect:
    return Suspect(1, this_process().boot, pid, started, 0, 0, expired=False)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_living_are_not_gone_and_the_dead_are() -> None:
    me = this_process()
    assert not is_gone(_suspect(me.pid, me.pid_started), me)
    assert is_gone(_suspect(me.pid, me.pid_started - 1), me), "the pid is in use again"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert is_gone(_suspect(child.pid, me.pid_started), me)
    assert not is_gone(_suspect(child.pid, me.pid_started), replace(me, boot="another boot"))


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can mount a /proc that hides")
@pytest.mark.parametrize("hidepid", ["hidepid=1", "hidepid=2"])
def test_a_hidden_process_is_not_gone(hidepid: str) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    looking = [sys.executable, "-c", LOOK, hidepid, str(os.getpid()), str(dead.pid)]
    look = subprocess.run(looking, capture_output=True, text=True, timeout=60)
    if look.returncode == CANNOT_HIDE:
        pytest.skip("no mount namespace is to be had here")
    assert look.stdout.splitlines() == ["False False", "False True"], look.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_dead_of_a_supervisor_that_lives_are_left_to_it() -> None:
    me = this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    suspect = replace(_suspect(dead.pid, me.pid_started), supervisor=me.pid, supervisor_started=me.pid_started)
    assert not is_gone(suspect, me), "it names the task that the worker was computing for"
    assert is_gone(replace(suspect, supervisor_started=me.pid_started - 1), me), "another process has its pid"
    assert is_gone(replace(suspect, supervisor=dead.pid), me)
