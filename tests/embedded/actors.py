"""Processes of their own that use a server, and can be told things, listened to and killed.

They are forked from the test: a new interpreter would spend most of the time of these tests on imports.
"""

from __future__ import annotations

import multiprocessing
import os
import pwd
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from select import select
from typing import TextIO

import psycopg

import durable.embedded.cluster
from durable.embedded import EmbeddedPostgresError, EmbeddedServer

_FORK = multiprocessing.get_context("fork")


class Acting:
    """An actor, alive or dead."""

    def __init__(self, server: EmbeddedServer, code: str, user: str, env: Mapping[str, str]) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        #: What the actor reads and writes; the end of what it writes is that of whoever got it from the actor, too.
        self.stdin: TextIO = os.fdopen(ours_in, "w")
        self.stdout: TextIO = os.fdopen(ours_out)
        arguments = (server.data_folder, code, user, env, (theirs_in, theirs_out), (ours_in, ours_out))
        self._process: BaseProcess = _FORK.Process(target=_act, args=arguments, daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside the threads of pytest-xdist
            self._process.start()
        os.close(theirs_in)
        os.close(theirs_out)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it lives, -N when signal N ended it."""
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float = 20) -> int:
        """Wait for its end; the return code."""
        self._process.join(timeout)
        assert self.returncode is not None, "it does not end"
        return self.returncode

    def communicate(self, text: str = "", timeout: float = 60) -> str:
        """Tell it something, and read what it and whoever inherited its output write, to the end."""
        self.stdin.write(text)
        self.stdin.close()
        deadline = time.monotonic() + timeout
        said = b""
        while select([self.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if not (more := os.read(self.stdout.fileno(), 4096)):
                self.wait(timeout)
                return said.decode()
            said += more
        raise AssertionError(f"no end of its output after {timeout} s, only {said!r}")

    def dismiss(self) -> None:
        """Leave nothing of it behind."""
        self.kill()
        self._process.join()
        self.stdin.close()
        self.stdout.close()


def _act(
    folder: Path, code: str, user: str, env: Mapping[str, str], own: tuple[int, int], of_the_test: tuple[int, int]
) -> None:
    os.setsid()
    for descriptor in of_the_test:
        os.close(descriptor)
    for number, descriptor in enumerate(own):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    os.environ.update(env)
    if user:
        _become(user)
    server = EmbeddedServer(folder, fsync=False)
    names = {"EmbeddedPostgresError": EmbeddedPostgresError, "Path": Path, "durable": durable, "psycopg": psycopg}
    exec(code, {**names, "os": os, "server": server, "signal": signal, "sys": sys, "time": time})


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
