"""Connections that wait are few, fresh and open."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from durable.net.connections import Connection
from durable.net.idle import IdleConnections

HERE, THERE = ("http", "here", 80), ("http", "there", 80)


class Idle:
    """A connection as far as it matters here."""

    def __init__(self, age: float = 0.0, is_connected: bool = True) -> None:
        self.used_at = time.monotonic() - age
        self.is_connected = is_connected
        self.closed = False

    def close(self) -> None:
        self.closed = True


def connection(age: float = 0.0, is_connected: bool = True) -> Any:
    return cast(Connection, Idle(age, is_connected))


def test_the_last_one_of_the_origin_is_taken_first() -> None:
    idle = IdleConnections(10)
    first, second, other = connection(), connection(), connection()
    idle.put(HERE, first)
    idle.put(HERE, second)
    idle.put(THERE, other)
    assert [idle.take(HERE) for _ in range(3)] == [second, first, None]
    assert idle.take(THERE) is other
    assert len(idle) == 0


@pytest.mark.parametrize("stale", [{"age": 5.0}, {"is_connected": False}])
def test_one_that_is_old_or_closed_is_passed_over(stale: dict[str, Any]) -> None:
    idle = IdleConnections(10)
    good, bad = connection(), connection(**stale)
    idle.put(HERE, good)
    idle.put(HERE, bad)
    taken = cast(Any, idle.take(HERE))
    assert taken is good
    assert (good.closed, bad.closed) == (False, True)


def test_the_limit_holds_over_all_origins_and_the_oldest_go() -> None:
    idle = IdleConnections(3)
    connections = [connection() for _ in range(5)]
    for number, one in enumerate(connections):
        idle.put(("http", str(number), 80), one)
    assert len(idle) == 3
    assert [one.closed for one in connections] == [True, True, False, False, False]


def test_old_ones_go_when_others_come() -> None:
    idle = IdleConnections(10)
    old, new = connection(age=5.0), connection()
    idle.put(THERE, old)
    idle.put(HERE, new)
    assert (len(idle), old.closed, new.closed) == (1, True, False)


def test_after_closing_nothing_is_kept() -> None:
    idle = IdleConnections(10)
    early, late = connection(), connection()
    idle.put(HERE, early)
    idle.close()
    idle.put(HERE, late)
    assert (early.closed, late.closed, idle.take(HERE)) == (True, True, None)


def test_no_connection_is_given_to_two_threads() -> None:
    idle = IdleConnections(50)
    in_use: set[int] = set()
    problems: list[str] = []

    def work() -> None:
        for _ in range(2000):
            one = idle.take(HERE) or connection()
            if id(one) in in_use:
                problems.append("taken twice")
            in_use.add(id(one))
            in_use.discard(id(one))
            idle.put(HERE, one)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(idle) <= 50
