"""A server that died is started again by whoever looks after it; one that was stopped is left alone."""

from __future__ import annotations

import os
import shutil
import signal

import psycopg
import pytest

from durable.embedded import EmbeddedPostgresError, EmbeddedServer
from tests.embedded.conftest import Actor
from tests.embedded.test_embedded_crashes import eventually, kill


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_server_that_was_killed_is_started_again(server: EmbeddedServer, signum: signal.Signals) -> None:
    server.ensure_running()
    kill(server, signum)
    assert server.revive()
    psycopg.connect(server.url).close()
    pid = server.pid
    assert not server.revive(), "it lives"
    assert server.pid == pid


def test_a_sigint_ends_the_wait_of_a_server_that_got_a_sigterm_and_it_is_started_again(server: EmbeddedServer) -> None:
    """As docs/operations.md says."""
    with psycopg.connect(server.ensure_running()):
        assert server.pid is not None
        os.kill(server.pid, signal.SIGTERM)
        status = server.data_folder / "cluster" / "postmaster.pid"
        assert eventually(lambda: "stopping" in status.read_text())
        assert not server.revive(), "that may be the drain of everybody who is connected"
        kill(server, signal.SIGINT)
    assert server.revive()
    psycopg.connect(server.url).close()


def test_a_server_that_was_stopped_is_left_alone_until_somebody_needs_it(server: EmbeddedServer) -> None:
    server.ensure_running()
    server.stop()
    assert not server.revive()
    assert not server.is_running
    server.ensure_running()
    kill(server)
    assert server.revive()


def test_a_killed_server_that_is_stopped_by_hand_is_left_alone_too(server: EmbeddedServer) -> None:
    server.ensure_running()
    kill(server)
    server.stop()
    assert not server.revive()
    assert not server.is_running


def test_of_many_who_look_after_a_server_one_starts_it(server: EmbeddedServer, actor: Actor) -> None:
    server.ensure_running()
    kill(server)
    crowd = [actor(server, "print(server.revive())") for _ in range(4)]
    assert sorted(each.communicate() for each in crowd) == ["False\n"] * 3 + ["True\n"]


def test_no_empty_database_takes_the_place_of_one_that_is_gone(copy: EmbeddedServer) -> None:
    copy.ensure_running()
    copy.stop("immediate")
    shutil.rmtree(copy.data_folder)
    with pytest.raises(EmbeddedPostgresError, match=r"no database in .* any more"):
        copy.revive()
    assert not copy.data_folder.exists()
