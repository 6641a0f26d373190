"""The decorators by which a plugin says which of its methods a workflow can call, and how they are recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, overload

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__durable_function__"


class Kind(StrEnum):
    """What becomes of a call. Within a transaction none of them records anything: the transaction does."""

    PURE = "pure"
    LOCAL = "local"
    EFFECT = "effect"
    TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a decorator noted: `wit_name` is `send`, `draft.send`, `draft` for its constructor, or the whole label."""

    kind: Kind
    wit_name: str
    blocking: bool


class Decorator:
    """Plain (`@effect`), or with the name that the function has in WIT, and `blocking` (`@effect("draft.send")`).

    Without a name it is the method's, with `-` for `_`. A blocking function runs in one of the plugin's threads, any
    other one on the worker's event loop, which it must not hold up.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    @overload
    def __call__(self, function: Function, /) -> Function: ...

    @overload
    def __call__(self, wit_name: str | None = None, /, *, blocking: bool = False) -> Callable[[Function], Function]: ...

    def __call__(self, given: Any = None, /, *, blocking: bool = False) -> Any:
        if callable(given):
            return self._mark(given, None, blocking)
        return lambda function: self._mark(function, given, blocking)

    def _mark(self, function: Function, wit_name: str | None, blocking: bool) -> Function:
        if blocking and inspect.iscoroutinefunction(function):
            raise TypeError(f"{function.__qualname__} is async, so it cannot be blocking: a thread has no event loop")
        name = wit_name or function.__name__.replace("_", "-")
        setattr(function, _MARK, Declared(self._kind, name, blocking))
        return function


#: Not recorded: runs anew on every replay, and must answer the same from the same arguments.
pure = Decorator(Kind.PURE)
#: Recorded, but not waited for: reading the outside, a number drawn. It may run twice if nobody saw the first answer.
local = Decorator(Kind.LOCAL)
#: Changes the outside: begins when all before it is durable, and happens at least once.
effect = Decorator(Kind.EFFECT)
#: An effect that the workflow may only have within a transaction, whose result records it.
transactional = Decorator(Kind.TRANSACTIONAL)


def declared_functions(plugin: type) -> dict[str, Declared]:
    """The decorated methods of a class by their Python names, inherited ones included."""
    functions = {name: getattr(getattr(plugin, name), _MARK, None) for name in dir(plugin)}
    return {name: declared for name, declared in functions.items() if isinstance(declared, Declared)}
