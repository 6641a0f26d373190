"""What lies in a socket of an answer of PostgreSQL that nobody has read yet."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import termios

#: ReadyForQuery, without the state of the transaction: the server sends it once all is said and done.
_READY = b"Z\x00\x00\x00\x05"
_MOST = 65_536


def has_come_whole(descriptor: int) -> bool:
    """Whether the answer is there to its end. False as well when that cannot be seen: it is encrypted, or too long."""
    size = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, size)
    if not len(_READY) < size[0] <= _MOST:
        return False
    with socket.socket(fileno=os.dup(descriptor)) as duplicate:
        return duplicate.recv(size[0], socket.MSG_PEEK)[-len(_READY) - 1 : -1] == _READY
