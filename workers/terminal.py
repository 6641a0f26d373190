"""The terminal that a service was started from, and whether it is still there."""

from __future__ import annotations

import errno
import os
import signal

_CONTROLLING_TERMINAL = "/dev/tty"
#: What opening it says when there is none any more. Anything else, such as too many open files, says nothing.
_GONE = (errno.ENXIO, errno.EIO)


class Terminal:
    """Make it before SIGHUP has a handler: who ignores that signal, as nohup(1) does, has no terminal to lose."""

    def __init__(self) -> None:
        self._may_go = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _opens() is None

    @property
    def is_gone(self) -> bool:
        """There was one at the start, and now there is none."""
        return self._may_go and _opens() in _GONE


def _opens() -> int | None:
    """None, or why not. Not stderr is asked, which may be a file or a pipe; nor is it kept open, which would keep
    whoever is at the other end from ending.
    """
    try:
        os.close(os.open(_CONTROLLING_TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError as error:
        return error.errno
    return None
