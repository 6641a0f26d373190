"""Signals become numbers in a queue, and everything is as before afterwards."""

from __future__ import annotations

import signal

from workers.signal_queue import SignalQueue, signals_held


def test_signals_are_queued_and_the_former_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with SignalQueue(signal.SIGTERM, signal.SIGCHLD) as queue:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGCHLD)
        assert queue.take() == [signal.SIGTERM, signal.SIGCHLD]
        assert queue.take() == []
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_held_signal_comes_later() -> None:
    with SignalQueue(signal.SIGTERM) as queue:
        with signals_held():
            signal.raise_signal(signal.SIGTERM)  # to this thread: it is the mask of a thread
            assert queue.take() == []
        assert queue.take() == [signal.SIGTERM]
