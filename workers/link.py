"""The line between the supervisor and one child (a worker or a companion): JSON messages, one a line, over a
socket pair.

Neither side ever blocks on it: a supervisor must not hang on a stopped worker, nor a worker's event loop on a
stopped supervisor. The end of the line is a message too: the other process is gone.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from durable.model import Culprit

#: A line longer than this is a fault of the sender. The longest one in use is `reclaim` (see
#: workers/orphans.py).
MAX_LINE_BYTES = 64 * 1024

_READ_BYTES = 64 * 1024
_READS_AT_ONCE = 16  # more than a socket buffer holds, and yet an end to a peer that never stops talking


class LinkError(Exception):
    """The other side sent something that is not a message."""


@dataclass(frozen=True, slots=True)
class Registered:
    """Worker: my row in `durable.worker` is about to be this one. Sent again when it had to register anew."""

    worker_id: int


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker: I claim tasks."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Worker, every second: my event loop turns, and this many tasks are in my memory."""

    tasks: int


@dataclass(frozen=True, slots=True)
class Draining:
    """Worker: I was asked to drain, by you or by a SIGTERM of my own."""


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """Worker: the tasks of these rows are taken back, or need not be any more."""

    worker_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """Worker: I am about to exit, and this is why, in words for an operator."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Worker: my tasks are handed back and my row is removed; nobody has to reclaim anything."""


@dataclass(frozen=True, slots=True)
class Reclaim:
    """Supervisor: the processes behind these rows are dead; take their tasks back now."""

    worker_ids: tuple[int, ...]
    culprits: tuple[Culprit, ...] = ()


@dataclass(frozen=True, slots=True)
class Drain:
    """Supervisor: hand back your tasks and exit."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Supervisor: write your tasks and stacks into the log."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Supervisor, to the exporter: how the workers are. One entry for each slot, in the order of `slots`, which are
    their numbers; `up` is 1 where the worker is ready, `restarts` counts since the service started. `ready`: all
    workers have been ready once, one of them is now, and the service is not stopping.
    """

    up: tuple[int, ...]
    restarts: tuple[int, ...]
    slots: tuple[int, ...]
    ready: bool


Message = Registered | Ready | Progress | Draining | Reclaimed | Failed | Stopped | Reclaim | Drain | Dump | Fleet

_TYPES: dict[str, type[Message]] = {
    kind.__name__.lower(): kind
    for kind in (Registered, Ready, Progress, Draining, Reclaimed, Failed, Stopped, Reclaim, Drain, Dump, Fleet)
}


def encode(message: Message) -> bytes:
    """One line, with its line feed."""
    return json.dumps({"type": type(message).__name__.lower(), **asdict(message)}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of one line. Raises LinkError."""
    try:
        fields: dict[str, Any] = json.loads(line)
        kind = _TYPES[fields.pop("type")]
        return kind(**{name: _READERS.get(name, _frozen)(value) for name, value in fields.items()})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LinkError(f"not a message: {line[:100]!r}") from error


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


_READERS: dict[str, Callable[[Any], Any]] = {"culprits": lambda found: tuple(Culprit(**one) for one in found)}


class Link:
    """One end of the line. It owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._received = bytearray()
        self._unsent = bytearray()
        self.ended = False  # the other side is gone, and all it ever said has been received

    @property
    def is_clogged(self) -> bool:
        """True while the other side does not read: leave out what can be left out."""
        return bool(self._unsent)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send, or keep what does not fit until the next call of `send` or `receive`. Nothing is raised when
        the other side is gone: that shows on the receiving side.
        """
        self._unsent += encode(message)
        self._flush()

    def receive(self) -> list[Message]:
        """All messages that have arrived. Raises LinkError; sets `ended` when there will be no more."""
        self._flush()  # a peer that speaks may be reading again as well
        for _ in range(_READS_AT_ONCE):
            if not self._read():
                break
        return self._complete_messages()

    def _read(self) -> bool:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return False
        except ConnectionError:  # a reset: it died with something of ours unread
            data = b""
        self._received += data
        self.ended = not data
        return bool(data)

    def _complete_messages(self) -> list[Message]:
        *lines, rest = self._received.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise LinkError(f"a line of more than {MAX_LINE_BYTES} bytes")
        self._received = bytearray(rest)
        return [decode(bytes(line)) for line in lines]

    def _flush(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()
