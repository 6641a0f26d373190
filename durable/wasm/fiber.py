"""One guest as a coroutine: its stack is set aside whenever it waits, and the event loop goes on.

wasmtime runs a component call as a future that is polled. A poll ends because the call returned or trapped, because a
host function answered with a coroutine, or because the guest computed past an epoch tick; this module turns those
into `await`. Dropping the future drops the guest where it stands.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from durable.wasm import ffi
from durable.wasm.busy import Busy, nobody_looks
from durable.wasm.codec import Lower
from durable.wasm.engine import EpochTicker
from durable.wasm.resources import Resources
from durable.wasm.traps import GuestLimit, GuestTrap, HostExhausted, is_exhausted

if TYPE_CHECKING:
    from durable.wasm.linker import Linker
    from durable.wasm.program import Program

_UNSET_DEADLINE = 1
#: The last one: one call hands over more than 128 MiB as wasmtime keeps it, 48 bytes for each element of a list.
_LIMITS = ("call stack exhausted", "exceeds memory limits", "count too high", "fuel allocated for hostcalls")


@dataclass(frozen=True, slots=True)
class GuestLimits:
    """What one guest may use: bytes of linear memory, seconds of CPU time between two events of its journal."""

    memory: int
    cpu: float
    table_elements: int = 1_000_000
    instances: int = 200
    tables: int = 20
    memories: int = 1  # so that the limit of one is the limit of all


class Fiber:
    """A guest in its own store. Use `run` once; the guest is gone when it returns or raises.

    `guest` is handed to every host function that the guest calls. `busy` is marked while something is computed for it.
    """

    __slots__ = (
        "_awaited", "_busy", "_engine", "_flag", "_limits", "_linker", "_lower", "_results", "_ticker", "context",
        "done_flag", "failure", "guest", "resources",
    )  # fmt: skip

    def __init__(
        self, linker: Linker, ticker: EpochTicker, guest: Any, limits: GuestLimits, busy: Busy | None = None
    ) -> None:
        self.guest = guest
        self._busy = busy or Busy(nobody_looks(), 0, 0)
        self.failure: BaseException | None = None
        self._linker = linker
        self._ticker = ticker
        self._limits = limits
        self._awaited: Coroutine[Any, Any, Any] | None = None
        self._lower: Lower | None = None
        self._results = 0
        self._flag = ctypes.create_string_buffer(2)
        self.done_flag = ctypes.addressof(self._flag)

    def set_aside(self, answer: Coroutine[Any, Any, Any], lower: Lower | None, results: int) -> None:
        """Called by the linker: the guest waits until `answer` is there, to be written at `results`."""
        self._awaited, self._lower, self._results = answer, lower, results
        self._flag[0] = b"\0"

    def restart_cpu_clock(self) -> None:
        """The guest made progress: its CPU limit counts from here."""
        self._busy.restart_clock()

    async def run(self, program: Program) -> Any:
        """Instantiate the program and call its `run`; the result is `Ok()` or `Err()`.

        Raises whatever a host function raised, GuestTrap when the guest trapped, GuestLimit when it went over a
        limit, HostExhausted when the system refused what it needs. Cancelling the coroutine drops the guest.
        """
        store = ffi.store_new(self._linker.engine_pointer, None, None)
        limits = self._limits
        ffi.store_limiter(store, limits.memory, limits.table_elements, limits.instances, limits.tables, limits.memories)
        self.context = ffi.store_context(store)
        self.resources = Resources(self.context)
        self._linker.fibers[self.context] = self
        self._ticker.fiber_started()
        try:
            ffi.context_set_epoch_deadline(self.context, _UNSET_DEADLINE)
            ffi.context_epoch_yield(self.context, 1)
            return await self._call(program)
        finally:
            self._ticker.fiber_ended()
            del self._linker.fibers[self.context]
            ffi.store_delete(store)
            self.resources.close()

    async def _call(self, program: Program) -> Any:
        instance = ctypes.create_string_buffer(ffi.INSTANCE_SIZE)
        await self._drive(
            lambda error: ffi.linker_instantiate_async(
                self._linker.pointer, self.context, program.component, ctypes.addressof(instance), error
            )
        )
        function = ctypes.create_string_buffer(ffi.FUNC_SIZE)
        ffi.instance_get_func(instance, self.context, program.run_index, ctypes.addressof(function))
        result = ctypes.create_string_buffer(ffi.VALUE_SIZE)
        address = ctypes.addressof(result)
        await self._drive(
            lambda error: ffi.func_call_async(ctypes.addressof(function), self.context, None, 0, address, 1, error)
        )
        try:
            return program.run_result.lift(self.resources, address)
        finally:
            ffi.val_delete(address)

    async def _drive(self, start: Callable[[int], int]) -> None:
        """Poll a call until it is over, doing on the event loop what its host functions asked for."""
        error = ctypes.c_void_p()
        self._busy.begin()
        future = start(ctypes.addressof(error))
        self._busy.end()
        try:
            while not self._poll(future):
                self._check_cpu()
                if self._awaited is None:
                    self._busy.measure()  # a tick has cut it short
                    await asyncio.sleep(0)
                else:
                    await self._answer()
        finally:
            ffi.future_delete(future)
            self._discard_awaited()
        if error.value:
            self._busy.begin()
            try:
                self._raise(ffi.take_error(error.value))
            finally:
                self._busy.end()

    def _poll(self, future: int) -> bool:
        self._busy.begin()
        over = bool(ffi.future_poll(future))
        self._busy.end()
        return over

    def _check_cpu(self) -> None:
        if self._busy.cpu_used > self._limits.cpu:
            raise GuestLimit(
                f"the workflow computed for more than {self._limits.cpu:g} s of CPU time without recording an event"
            )

    async def _answer(self) -> None:
        awaited, self._awaited = self._awaited, None
        assert awaited is not None
        answer = await self._busy.during(awaited)
        if self._lower is not None:
            self._busy.begin()
            try:
                self._lower(self.resources, self._results, answer)
            finally:
                self._busy.end()
        self._flag[0] = b"\1"

    def _discard_awaited(self) -> None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.close()  # never awaited: the guest was dropped first

    def _raise(self, message: str) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            # Without its traceback: the frames of the callback belong to a stack that is gone.
            raise failure.with_traceback(None)
        if is_exhausted(message):
            raise HostExhausted(_cause_first(message))
        kind = GuestLimit if _is_limit(message) else GuestTrap
        raise kind(_cause_first(message))


def _cause_first(message: str) -> str:
    """wasmtime tells the backtrace first; whoever reads one line wants the cause."""
    cause = message.strip().splitlines()[-1].strip() if "Caused by:" in message else ""
    return f"{cause}\n{message}" if cause else message


def _is_limit(message: str) -> bool:
    # wasmtime gives traps no code, only text.
    return any(text in message for text in _LIMITS)
