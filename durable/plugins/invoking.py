"""Calls of a plugin's Python: on the event loop or in a thread, and what their exceptions mean."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from durable.execution.outcome import Suspend
from durable.execution.run import Run
from durable.journal.part import TaskChange
from durable.model import TaskState
from durable.net.threads import Threads
from durable.plugins.call import Call
from durable.plugins.errors import PluginFailed, ResultError, TaskFailure, Unavailable
from durable.wasm.traps import GuestTrap, HostExhausted
from durable.wasm.values import Err

_log = logging.getLogger("durable.plugins")
_SHORTEST_RETRY = 0.1
_LONGEST_RETRY = 365 * 86400.0


class Invoker:
    """Calls the methods of one plugin."""

    def __init__(self, plugin_name: str, threads: int) -> None:
        self._plugin_name = plugin_name
        self._threads = Threads(threads, f"durable-plugin-{plugin_name}")

    async def invoke(
        self, run: Run, call: Call, method: Callable[..., Any], arguments: Sequence[Any], *, blocking: bool
    ) -> Any:
        """What the method returns, or Err for a ResultError.

        Raises GuestTrap for a TaskFailure, Suspend for Unavailable, HostExhausted when there is no thread to be had,
        PluginFailed for everything else but the end of the run itself.
        """
        try:
            if blocking:
                return await self._in_thread(method, call, arguments)
            answer = method(call, *arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except ResultError as error:
            return Err(error.value)
        except TaskFailure as error:
            raise GuestTrap(_said_by(error)) from None
        except Unavailable as error:
            _log.info(
                "task %s tries %s again later: %s",
                run.task.id,
                call.label,
                _said_by(error),
                extra={"task_id": run.task.id},
            )
            raise _again(run, error) from None
        except (KeyboardInterrupt, GuestTrap, HostExhausted):
            raise
        except BaseException as error:
            # SystemExit included: no plugin may end the worker, nor make a run look as if it had been stopped.
            if isinstance(error, asyncio.CancelledError) and _is_stopped():
                raise
            raise self.failed(call, error) from error

    def failed(self, call: Call, error: BaseException) -> PluginFailed:
        said = f": {text}" if (text := _said_by(error)) else ""
        return PluginFailed(f"the plugin {self._plugin_name!r} failed in {call.label}: {type(error).__name__}{said}")

    def close(self) -> None:
        self._threads.close()

    async def _in_thread(self, method: Callable[..., Any], call: Call, arguments: Sequence[Any]) -> Any:
        try:
            future = self._threads.submit(lambda: _attempt(method, call, arguments))
        except RuntimeError as no_thread:
            raise HostExhausted(f"{call.label} cannot be called now: {no_thread}") from None
        waiting = asyncio.wrap_future(future)
        try:
            answer, error = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not future.cancel():
                # It has begun and cannot be stopped, and no lease is given back while code may still act on it.
                await asyncio.wait([waiting])
            raise
        if error is not None:
            raise error
        return answer


def _said_by(error: BaseException) -> str:
    """Its message. That of a plugin's own exception is the plugin's code, too, which may fail."""
    try:
        return str(error)
    except Exception:
        return "a message that cannot be shown"


def _attempt(method: Callable[..., Any], call: Call, arguments: Sequence[Any]) -> tuple[Any, BaseException | None]:
    """The exception as a value: futures treat some of them in ways of their own."""
    try:
        return method(call, *arguments), None
    except BaseException as error:
        return None, error


def _is_stopped() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _again(run: Run, error: Unavailable) -> Suspend:
    seconds = min(max(error.retry_after, _SHORTEST_RETRY), _LONGEST_RETRY)
    wakeup_at = run.clock.now() // 1000 + int(seconds * 1_000_000)
    return Suspend(TaskChange(TaskState.SUSPENDED, wakeup_at=wakeup_at, wakes_on_notification=False))
