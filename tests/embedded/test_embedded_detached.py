"""The server belongs to no process, terminal or pipe of the one that happened to start it."""

from __future__ import annotations

import os
import signal

import psycopg

from durable.embedded import EmbeddedServer
from durable.embedded.postmaster import StopMode
from tests.embedded.conftest import Actor


def test_a_pipe_of_the_starter_ends_when_the_starter_does(server: EmbeddedServer, actor: Actor) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    starter = actor(server, "server.ensure_running()")
    os.close(writer)
    assert starter.communicate() == ""  # returns at the end of its standard output
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b""  # returns when no process has the other end
    assert server.is_running


def test_ctrl_c_in_the_starters_terminal_does_not_reach_it(server: EmbeddedServer, actor: Actor) -> None:
    starter = actor(server, "server.ensure_running(); print('up', flush=True); time.sleep(60)")
    assert starter.stdout.readline() == "up\n"
    os.killpg(starter.pid, signal.SIGINT)
    os.killpg(starter.pid, signal.SIGHUP)
    starter.wait(20)
    psycopg.connect(server.url).close()


def test_it_is_in_a_session_of_its_own_and_no_child_of_the_starter(server: EmbeddedServer, actor: Actor) -> None:
    code = """
server.ensure_running()
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print(os.getsid(server.pid) != os.getsid(0))
"""
    assert actor(server, code).communicate() == "True\n"


def test_blocked_and_ignored_signals_of_the_starter_do_not_make_it_unstoppable(
    server: EmbeddedServer, actor: Actor
) -> None:
    code = """
signals = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD]
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
for each in signals[:3]:
    signal.signal(each, signal.SIG_IGN)
server.ensure_running()
"""
    actor(server, code).communicate()
    modes: tuple[StopMode, ...] = ("fast", "smart", "immediate")
    for mode in modes:
        server.ensure_running()
        server.stop(mode)
        assert not server.is_running
