"""An event loop that somebody else steps: nothing in it happens before a scheduler says so.

It has the interface of asyncio's loops as far as the worker, psycopg and asyncio itself use it. Time is the
scheduler's. What would run in a thread runs at once. A socket that can be read calls nobody back until the scheduler
delivers it.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import socket
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, cast

_NEVER = float("inf")


class SimulatedLoop:
    """The loop of one simulated process. `now` gives the seconds of its clock; `wrong` is told of errors nobody saw."""

    def __init__(self, now: Callable[[], float], wrong: Callable[[str], None]) -> None:
        #: Itself, as asyncio knows it.
        self.loop = cast(asyncio.AbstractEventLoop, self)
        self._now = now
        self._wrong = wrong
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._order = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._dead = False
        #: Sockets that somebody waits for, by descriptor: to be read, to be written to.
        self.readers: dict[int, asyncio.Handle] = {}
        self.writers: dict[int, asyncio.Handle] = {}

    # -- for the scheduler -------------------------------------------------------------------------------------------
    @property
    def runnable(self) -> int:
        """How many callbacks could run now. Timers that are due are among them."""
        while self._timers and self._timers[0][0] <= self._now():
            self._ready.append(heapq.heappop(self._timers)[2])
        self._ready = [handle for handle in self._ready if not handle.cancelled()]
        return len(self._ready)

    @property
    def next_timer(self) -> float:
        """When the next timer is due, by the clock of this loop; infinity when there is none."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else _NEVER

    def run_one(self, number: int = 0) -> None:
        """Run one of the `runnable` callbacks; 0 is the one that waits longest."""
        self._run(self._ready.pop(number))

    def deliver(self, descriptor: int) -> None:
        """Tell whoever waits to read from this socket that it can. Once: it has to ask again."""
        self._run(self.readers.pop(descriptor))

    def allow_writing(self, descriptor: int) -> None:
        self._run(self.writers.pop(descriptor))

    def die(self) -> None:
        """The process is gone: nothing of it runs any more, and nothing of it is finished.

        What its coroutines do on their way out reaches nobody: close its connections before.
        """
        self._dead = True
        self.readers.clear()
        self.writers.clear()
        self._ready.clear()
        self._timers.clear()
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            if not task.done():
                self._drop(task)

    def _drop(self, task: asyncio.Task[Any]) -> None:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coroutine = task.get_coro()
        asyncio._set_running_loop(self.loop)
        try:
            for _ in range(20):  # one that waits in a `finally` says so by a RuntimeError
                try:
                    coroutine.close()
                    return
                except BaseException:
                    continue
        finally:
            asyncio._set_running_loop(None)

    def _run(self, handle: asyncio.Handle) -> None:
        asyncio._set_running_loop(self.loop)
        try:
            handle._run()
        finally:
            asyncio._set_running_loop(None)

    # -- for asyncio -------------------------------------------------------------------------------------------------
    def time(self) -> float:
        return self._now()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._dead

    def is_closed(self) -> bool:
        return self._dead

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self.loop, context)
        if not self._dead:
            self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self.loop, context)
        if not self._dead:
            heapq.heappush(self._timers, (when, next(self._order), handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio's timers call it; a cancelled one is skipped when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self.loop)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self.loop, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **wanted: Any) -> Any:
        return socket.getaddrinfo(host, port, **wanted)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        self.readers[int(fd)] = asyncio.Handle(callback, args, self.loop, None)

    def remove_reader(self, fd: Any) -> bool:
        return self.readers.pop(int(fd), None) is not None

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        self.writers[int(fd)] = asyncio.Handle(callback, args, self.loop, None)

    def remove_writer(self, fd: Any) -> bool:
        return self.writers.pop(int(fd), None) is not None

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._dead:
            return
        with contextlib.suppress(Exception):
            error = context.get("exception")
            self._wrong(f"{context.get('message')}: {error!r}" if error else str(context.get("message")))
