"""Log text: what a guest printed, as it can be stored, within its cap."""

from __future__ import annotations

import codecs
import re

# U+0000, and halves of a surrogate pair, which JSON and Python's names of files can bring.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def made_storable(text: str) -> str:
    """The text with U+FFFD for every character that PostgreSQL cannot hold."""
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class LogText:
    """Collects what is printed within one recorded call, up to `limit` bytes of UTF-8; the rest is only counted."""

    __slots__ = ("_kept", "_limit", "_missing", "_room")

    def __init__(self, limit: int) -> None:
        self._kept: list[str] = []
        self._limit = limit
        self._room = limit
        self._missing = 0

    def add(self, text: str) -> None:
        encoded = text.encode()
        if len(encoded) <= self._room:
            self._kept.append(text)
            self._room -= len(encoded)
            return
        # A cut in the middle of a character drops that character.
        head = encoded[: self._room].decode("utf-8", "ignore")
        if head:
            self._kept.append(head)
        self._missing += len(encoded) - len(head.encode())
        self._room = 0

    def __str__(self) -> str:
        text = "".join(self._kept)
        if self._missing:
            text += f"\n[durable: {self._missing} bytes of log text are missing here, the limit is {self._limit}]\n"
        return text


def cut_log(text: str, limit: int) -> str:
    """The storable text, cut at a character boundary with a marker when it is larger than `limit` bytes."""
    if len(text) * 4 <= limit:  # no character has more than four bytes
        return text
    collected = LogText(limit)
    collected.add(text)
    return str(collected)


class TextDecoder:
    """Bytes of one output stream to text: a character may be split between two writes; U+0000 cannot be stored."""

    __slots__ = ("_decoder",)

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def decode(self, data: bytes) -> str:
        return self._decoder.decode(data).replace("\0", "\N{REPLACEMENT CHARACTER}")
