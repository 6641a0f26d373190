"""A bounded number of threads, started when there is work, for calls that block.

Not a ThreadPoolExecutor: at the end of the process Python waits for its threads, so one server that hangs would keep an
application from ending. These threads are daemons, and idle ones end by themselves.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_IDLE_SECONDS = 10.0


class Threads:
    """Runs calls in at most `limit` threads, in the order in which they came."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._count = 0
        self._idle = 0
        self._closed = False

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Run the call as soon as there is a thread. Cancelling the future takes back a call that has not begun.

        Raises RuntimeError after `close`, or when the system gives no thread at all.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the threads are closed")
            self._waiting.append((future, call))
            if len(self._waiting) > self._idle and self._count < self._limit:
                self._start_thread()
            self._changed.notify()
        return future

    def close(self) -> None:
        """Take back what has not begun and let the threads end. Waits for nothing."""
        with self._changed:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._changed.notify_all()
        for future, _ in waiting:
            future.cancel()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}-{self._count}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if self._count == 0:
                self._waiting.pop()
                raise
        else:
            self._count += 1

    def _work(self) -> None:
        while (job := self._next()) is not None:
            _run(*job)
            del job

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._changed:
            while not self._waiting:
                self._idle += 1
                notified = not self._closed and self._changed.wait(_IDLE_SECONDS)
                self._idle -= 1
                if not self._waiting and (self._closed or not notified):
                    self._count -= 1
                    return None
            return self._waiting.popleft()


def _run(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        answer = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(answer)
