"""The steps that an operation may ask for, and where a running operation stands."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from durable.errors import DurableError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Statement:
    """Run one statement; outside of a caller's transaction it commits. Answered by all its rows, as tuples."""

    sql: str
    params: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """Do something that takes time and is no database work. Answered by its result."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on hints about this task on these channels end a `Wait`. Hints from before now may be missed."""

    channels: tuple[str, ...]
    task_id: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for a hint, at most this many seconds. The answer does not say which it was: look at the database."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand a value to whoever iterates over the operation."""

    value: Any


Step: TypeAlias = Statement | Call | Listen | Wait
Operation: TypeAlias = Generator[Step, Any, T]
Stream: TypeAlias = Generator[Step | Emit, Any, T]


class Progress(Generic[T]):
    """An operation under way: ask for its `step`, then say `answer` or `fail`, until the step is None."""

    result: T

    def __init__(self, operation: Stream[T] | Operation[T]) -> None:
        self._operation = operation
        self._resume: Callable[[], Step | Emit] = partial(next, operation)

    def step(self) -> Step | Emit | None:
        """What the operation wants next; None when it is done and `result` is there. Raises what it raises."""
        try:
            return self._resume()
        except StopIteration as end:
            self.result = end.value
            return None

    def answer(self, reply: object) -> None:
        self._resume = partial(self._operation.send, reply)

    def fail(self, error: DurableError) -> None:
        """The step failed; the operation may know what to do about it."""
        self._resume = partial(self._operation.throw, error)

    def close(self) -> None:
        """Leave the operation where it stands."""
        self._operation.close()
