"""The last supervisor that uses the server stops it, and nobody else does."""

from __future__ import annotations

import os
import signal

import psycopg

from durable.embedded import EmbeddedServer
from tests.embedded.actors import Acting
from tests.embedded.conftest import Actor

HOLD = """
with server.hold() as holder:
    print('holds', holder.url, flush=True)
    sys.stdin.readline()
"""


def holds(actor: Acting) -> bool:
    return actor.stdout.readline().startswith("holds postgresql://")


def leave(actor: Acting) -> None:
    actor.communicate("\n")
    assert actor.returncode == 0


def test_the_last_of_two_holders_stops_the_server(server: EmbeddedServer, actor: Actor) -> None:
    first, second = actor(server, HOLD), actor(server, HOLD)
    assert holds(first) and holds(second)
    leave(first)
    psycopg.connect(server.url).close()
    leave(second)
    assert not server.is_running


def test_a_killed_holder_leaves_the_server_to_the_next_one(server: EmbeddedServer, actor: Actor) -> None:
    killed = actor(server, HOLD)
    assert holds(killed)
    pid = server.pid
    killed.kill()
    killed.wait()
    with server.hold() as holder:
        assert server.pid == pid
        psycopg.connect(holder.url).close()
    assert not server.is_running


def test_a_forked_worker_that_leaves_the_block_does_not_stop_the_server(server: EmbeddedServer, actor: Actor) -> None:
    code = """
with server.hold() as holder:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        psycopg.connect(holder.url).close()
        print('alive', flush=True)
"""
    parent = actor(server, code)
    assert parent.communicate() == "alive\n"
    assert parent.returncode == 0
    assert not server.is_running


def test_a_holder_that_fails_stops_the_server_too(server: EmbeddedServer, actor: Actor) -> None:
    failing = actor(server, HOLD)
    assert holds(failing)
    os.killpg(failing.pid, signal.SIGINT)
    assert failing.wait(60) != 0
    assert not server.is_running


def test_holders_that_come_and_go_always_have_a_server(server: EmbeddedServer, actor: Actor) -> None:
    code = """
for _ in range(5):
    with server.hold() as holder:
        with psycopg.connect(holder.url) as connection:
            connection.execute('SELECT pg_sleep(0.01)')
"""
    crowd = [actor(server, code) for _ in range(4)]
    for each in crowd:
        each.communicate()
    assert [each.returncode for each in crowd] == [0, 0, 0, 0]
    assert not server.is_running
