"""Python shapes of component values that have no natural Python type.

bool, int, float, str, list, tuple and bytes (for `list<u8>`) stand for themselves; a record is a tuple in the order of
its fields, an enum its name, flags a frozenset of names, an option None or the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ok:
    """The ok case of a `result`."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Err:
    """The error case of a `result`."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a `variant`."""

    name: str
    value: Any = None
