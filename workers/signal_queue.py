"""Signals as numbers in a queue that a selector can wait for; a handler does nothing but enqueue."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self


def _only_enqueue(signum: int, frame: FrameType | None) -> None:
    """The interpreter has already written the number to the wakeup descriptor."""


class SignalQueue:
    """While entered, the given signals are queued instead of acted upon. Only for the main thread."""

    def __init__(self, *signums: signal.Signals) -> None:
        self._signums = signums
        self._reader, self._writer = socket.socketpair()
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # A full queue loses signals, silently: by then it holds thousands that nobody has looked at.
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {signum: signal.signal(signum, _only_enqueue) for signum in self._signums}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._close()

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[int]:
        """The signals since the last call, in order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []

    def forget_in_child(self) -> None:
        """Give a forked process the default reactions and none of the descriptors. Until this is done the
        child writes its own signals into the parent's queue, so fork with `signals_held` around it.
        """
        signal.set_wakeup_fd(-1)
        for signum in self._signums:
            signal.signal(signum, signal.SIG_DFL)
        self._close()

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()


@contextmanager
def signals_held() -> Iterator[None]:
    """No signal is delivered inside; those that arrive wait for the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
