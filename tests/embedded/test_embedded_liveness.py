"""A server is known by its command line, and that is missing for a moment in each execve of its start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import durable.embedded.server
from durable.embedded import EmbeddedServer
from durable.embedded.postmaster import Postmaster
from durable.embedded.unprivileged import Launch, unprivileged_launch

#: Does what the kernel does in the middle of an execve: the process has memory and no command line. After half a
#: second it becomes the program in its arguments. See prctl(2), PR_SET_MM_MAP; the numbers are those of proc(5), stat.
HIDE = """
import ctypes, os, sys, time
stat = open("/proc/self/stat").read().rpartition(") ")[2].split()
field = lambda number: int(stat[number - 3])
libc = ctypes.CDLL(None)
libc.sbrk.restype = ctypes.c_void_p
addresses = [*map(field, (26, 27, 45, 46, 47)), libc.sbrk(0), *map(field, (28, 48, 48, 50, 51)), 0, 0xFFFFFFFF << 32]
if libc.prctl(35, 14, (ctypes.c_uint64 * 13)(*addresses), ctypes.c_ulong(104), ctypes.c_ulong(0)):
    os._exit(77)
print("hidden", flush=True)
time.sleep(0.5)
os.execv(sys.argv[1], sys.argv[1:])
"""
HIDDEN = (sys.executable, "-c", HIDE)

Hide = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def hide() -> Iterator[Hide]:
    """Start a process whose command line cannot be seen until it becomes the program in its arguments."""
    started: list[subprocess.Popen[str]] = []

    def start(*program: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([*HIDDEN, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        if process.stdout.readline() != "hidden\n":
            pytest.skip("this kernel lets no process hide its command line")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_process_in_the_middle_of_an_execve_is_judged_by_what_it_becomes(hide: Hide, tmp_path: Path) -> None:
    server = hide("/bin/sh", "-c", "read line", "sh", "-D", str(tmp_path))
    stranger = hide("/bin/sh", "-c", "read line", "sh", "-D", str(tmp_path / "another"))
    assert Path(f"/proc/{server.pid}/cmdline").read_bytes() == b""
    assert Postmaster(tmp_path, server.pid).is_alive
    assert not Postmaster(tmp_path, stranger.pid).is_alive


def test_what_died_without_a_command_line_is_dead_at_once(hide: Hide, tmp_path: Path) -> None:
    zombie = hide("/bin/sh")
    zombie.kill()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert not Postmaster(tmp_path, zombie.pid).is_alive


def test_a_start_that_cannot_be_seen_yet_is_waited_for(
    hide: Hide, server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide("/bin/true")  # skips where a process cannot hide

    def hidden_launch(folder: Path, program: Path) -> Launch:
        launch = unprivileged_launch(folder, program)
        return Launch((*HIDDEN, "/usr/bin/env", *launch.prefix), launch.owner)

    monkeypatch.setattr(durable.embedded.server, "unprivileged_launch", hidden_launch)
    psycopg.connect(server.restart("immediate")).close()


@pytest.fixture
def load() -> Iterator[None]:
    """More processes that compute than there are CPUs."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


@pytest.mark.usefixtures("load")
def test_a_busy_host_makes_no_restart_fail(server: EmbeddedServer) -> None:
    server.ensure_running()
    for _ in range(5):
        psycopg.connect(server.restart("immediate")).close()
