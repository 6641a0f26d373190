"""Rows that have come and that the guest has not asked for yet.

They stay as libpq keeps them, where a NULL costs 16 bytes and not an object of Python: a guest that reads nothing can
make us read ahead. A row becomes a `Row` when it is asked for.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from psycopg.pq.abc import PGresult

from durable.store.pg_types import PgType

#: Rows that libpq hands over at once, and values: so that to count them is a matter of less than a millisecond.
_CHUNK_ROWS = 100
_CHUNK_VALUES = 2_000
#: Bytes of a value in libpq besides its data, which it aligns.
_VALUE = 24

#: Name and type of each column.
Columns = list[tuple[str, PgType]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: (name, type, binary value or None for NULL) of each column."""

    columns: list[tuple[str, PgType, bytes | None]]


class UnreadRows:
    """The unread rows of one statement. `columns` is None as long as it is not known how to read them."""

    def __init__(self) -> None:
        self.columns: Columns | None = None
        self._results: deque[tuple[PGresult, int]] = deque()
        self._next = 0  # row of the first result
        self._count = 0
        #: Bytes, without those of the first chunk, which is there even if nothing is read ahead.
        self.size = 0

    def __len__(self) -> int:
        return self._count

    @property
    def are_readable(self) -> bool:
        return self._count > 0 and self.columns is not None

    def add(self, result: PGresult) -> None:
        if result.ntuples:
            size = _size_of(result) if self._results else 0
            self._results.append((result, size))
            self.size += size
            self._count += result.ntuples

    def pop(self) -> Row:
        assert self.columns is not None
        result, size = self._results[0]
        row, self._next = self._next, self._next + 1
        self._count -= 1
        if self._next == result.ntuples:
            self._results.popleft()
            self._next = 0
            self.size -= size
        return Row(
            [(name, ty, _bytes(result.get_value(row, number))) for number, (name, ty) in enumerate(self.columns)]
        )


def chunk_rows(columns: int) -> int:
    """How many rows of so many columns are read at once."""
    return max(1, min(_CHUNK_ROWS, _CHUNK_VALUES // max(1, columns)))


def _size_of(result: PGresult) -> int:
    columns = range(result.nfields)
    data = sum(len(result.get_value(row, column) or b"") for row in range(result.ntuples) for column in columns)
    return data + result.ntuples * result.nfields * _VALUE


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
