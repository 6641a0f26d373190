"""Threads are few, start when there is work, and never keep a process from ending."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait

import pytest

from durable.net.threads import Threads


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads(4, "test-threads")
    yield threads
    threads.close()


def running() -> int:
    return sum(thread.name.startswith("test-threads") for thread in threading.enumerate())


def test_no_thread_is_started_without_work(threads: Threads) -> None:
    assert running() == 0
    assert threads.submit(lambda: 42).result(5) == 42
    assert running() == 1


def test_an_idle_thread_is_used_again(threads: Threads) -> None:
    for number in range(50):
        assert threads.submit(lambda n=number: n).result(5) == number  # type: ignore[misc]
        time.sleep(0.001)
    assert running() == 1


def test_calls_run_at_once_up_to_the_limit_and_then_in_order(threads: Threads) -> None:
    gate, begun = threading.Event(), []

    def call(number: int) -> int:
        begun.append(number)
        gate.wait(5)
        return number

    futures = [threads.submit(lambda n=n: call(n)) for n in range(10)]  # type: ignore[misc]
    deadline = time.monotonic() + 5
    while len(begun) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert sorted(begun) == [0, 1, 2, 3]
    assert running() == 4
    gate.set()
    assert [future.result(5) for future in futures] == list(range(10))
    assert running() <= 4


def test_an_error_is_the_callers(threads: Threads) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        threads.submit(fail).result(5)
    assert threads.submit(lambda: 1).result(5) == 1


def test_a_call_that_has_not_begun_can_be_taken_back(threads: Threads) -> None:
    gate, ran = threading.Event(), []
    busy = [threads.submit(lambda: gate.wait(5)) for _ in range(4)]
    waiting = threads.submit(lambda: ran.append(1))
    assert waiting.cancel()
    gate.set()
    wait(busy, 5)
    assert threads.submit(lambda: 1).result(5) == 1
    assert ran == []


def test_closing_takes_back_what_waits_and_waits_for_nothing(threads: Threads) -> None:
    gate, begun = threading.Event(), threading.Barrier(5)
    busy = [threads.submit(lambda: begun.wait(5) >= 0 and gate.wait(5)) for _ in range(4)]
    begun.wait(5)
    waiting = threads.submit(lambda: 1)
    started = time.monotonic()
    threads.close()
    assert time.monotonic() - started < 0.5
    with pytest.raises(CancelledError):
        waiting.result(5)
    gate.set()
    assert all(future.result(5) for future in busy)
    with pytest.raises(RuntimeError, match="closed"):
        threads.submit(lambda: 1)
    deadline = time.monotonic() + 5
    while running() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running() == 0


def test_idle_threads_end_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable.net.threads._IDLE_SECONDS", 0.05)
    threads = Threads(4, "test-threads")
    for round in range(20):
        results = [threads.submit(lambda n=n: n) for n in range(8)]  # type: ignore[misc]
        assert [one.result(5) for one in results] == list(range(8)), round
        time.sleep(0.045 + 0.001 * round)
    time.sleep(0.3)
    assert running() == 0
    threads.close()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    program = """
import time
from durable.net.threads import Threads
threads = Threads(2, "hanging")
threads.submit(lambda: time.sleep(60))
time.sleep(0.2)
threads.close()
"""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.monotonic() - started < 20


def test_many_submitters_at_once() -> None:
    threads = Threads(8, "test-threads")
    results: list[int] = []

    def submit_many(first: int) -> None:
        futures = [threads.submit(lambda n=n: n) for n in range(first, first + 500)]  # type: ignore[misc]
        results.extend(future.result(30) for future in futures)

    submitters = [threading.Thread(target=submit_many, args=(1000 * n,)) for n in range(8)]
    for submitter in submitters:
        submitter.start()
    for submitter in submitters:
        submitter.join(60)
    assert len(results) == len(set(results)) == 4000
    assert running() <= 8
    threads.close()
