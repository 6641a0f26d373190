"""A plugin's methods as host functions: when they run, and what is recorded of them.

All of them are coroutines, so that the plugin's code runs on the event loop's stack and not on the guest's small one.
What the guest gets has always gone through the journal's form, on the first run too: every run sees the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from durable.execution.run import Run
from durable.journal.cursor import BrokenJournal
from durable.journal.log_text import cut_log
from durable.plugins.call import Call
from durable.plugins.declaring import Kind
from durable.plugins.invoking import Invoker
from durable.plugins.plugin import Plugin
from durable.plugins.types import Implementation
from durable.wasm.linker import HostFunction
from durable.wasm.resources import close_resource
from durable.wasm.traps import GuestTrap
from durable.wasm.values import Err, Ok


def host_function(plugin: Plugin, implementation: Implementation, invoker: Invoker) -> HostFunction:
    """The host function for one function of a plugin."""
    bound = _Bound(plugin, implementation, invoker)
    kinds = {
        Kind.PURE: bound.pure, Kind.LOCAL: bound.local, Kind.EFFECT: bound.effect,
        Kind.TRANSACTIONAL: bound.transactional,
    }  # fmt: skip
    return kinds[implementation.declared.kind]


class _Bound:
    def __init__(self, plugin: Plugin, implementation: Implementation, invoker: Invoker) -> None:
        self._implementation = implementation
        self._label = implementation.label
        self._method: Callable[..., Any] = getattr(plugin, implementation.method)
        self._invoker = invoker

    async def pure(self, run: Run, *arguments: Any) -> Any:
        return await self._answer(run, arguments)

    async def local(self, run: Run, *arguments: Any) -> Any:
        if run.transaction is not None:
            return await self._answer(run, arguments)
        return await self._recorded(run, arguments)

    async def effect(self, run: Run, *arguments: Any) -> Any:
        if run.transaction is not None:
            await run.before_effect()
            return await self._answer(run, arguments)
        try:
            return await self._recorded(run, arguments)
        finally:
            run.in_effect = False

    async def transactional(self, run: Run, *arguments: Any) -> Any:
        if run.transaction is None:
            raise GuestTrap(f"{self._label} can only be called within a transaction, which records its result")
        await run.before_effect()
        return await self._answer(run, arguments)

    async def _recorded(self, run: Run, arguments: tuple[Any, ...]) -> Any:
        await run.prepare()
        text = run.replay(self._label)
        if text is not None:
            self._drop_owned(arguments)
            return self._replayed(run, text)
        is_effect = self._implementation.declared.kind is Kind.EFFECT
        if is_effect:
            await run.before_effect()
            run.in_effect = True
        call, answer = await self._call(run, arguments)
        text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
        printed = cut_log(call.printed, run.config.max_log_bytes_per_transaction)
        (run.end_effect if is_effect else run.append)(self._label, text, printed)
        return self._implementation.result.decode(json.loads(text))

    async def _answer(self, run: Run, arguments: tuple[Any, ...]) -> Any:
        """Of a call that is not recorded itself."""
        call, answer = await self._call(run, arguments)
        run.print_in_transaction(call.printed)
        return self._implementation.result.decode(answer)

    async def _call(self, run: Run, arguments: tuple[Any, ...]) -> tuple[Call, Any]:
        """The call, and its answer in the journal's form."""
        implementation = self._implementation
        call = self._new_call(run)
        presented = [shape.present(value) for shape, value in zip(implementation.parameters, arguments, strict=True)]
        answer = await self._invoker.invoke(
            run, call, self._method, presented, blocking=implementation.declared.blocking
        )
        if implementation.has_error and not isinstance(answer, Ok | Err):
            answer = Ok(answer)
        try:
            return call, implementation.result.encode(answer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Of any kind: a list may be a generator, and whatever shows a wrong value is the plugin's code as well.
            raise self._invoker.failed(call, error) from error

    def _new_call(self, run: Run) -> Call:
        is_silent = self._implementation.declared.kind is Kind.PURE and run.transaction is None
        number = 0
        if run.transaction is not None:
            run.transaction.effects += 1
            number = run.transaction.effects
        return Call(run, self._label, number, is_silent=is_silent)

    def _replayed(self, run: Run, text: str) -> Any:
        result = self._implementation.result
        try:
            value = result.decode(json.loads(text))
            result.encode(value)  # decoding trusts what it reads; this looks at types and ranges
            return value
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise BrokenJournal(
                f"event {run.cursor.index - 1} has a value that {self._label} cannot have returned "
                f"({type(error).__name__}): the plugin's types have changed since it was recorded"
            ) from None

    def _drop_owned(self, arguments: tuple[Any, ...]) -> None:
        """Handles that the guest gave away to a call that is not made again."""
        for index in self._implementation.owned:
            close_resource(arguments[index])
