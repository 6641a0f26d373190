"""Data as it comes off a connection: in pieces, into a buffer."""

from __future__ import annotations

import io


class Arriving(io.RawIOBase):
    """Data that arrives in pieces of so many bytes; `given` counts them."""

    def __init__(self, data: bytes, piece: int = 1_000_000) -> None:
        self._data = io.BytesIO(data)
        self._piece = piece

    @property
    def given(self) -> int:
        return self._data.tell()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._data.readinto(memoryview(buffer)[: self._piece])


def buffering(arriving: Arriving) -> io.BufferedReader:
    return io.BufferedReader(arriving, 65_536)


def buffered(data: bytes, piece: int = 1_000_000) -> io.BufferedReader:
    return buffering(Arriving(data, piece))
