"""Fork a process that talks to the supervisor over a link and does not outlive it."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from workers.link import Link
from workers.signal_queue import signals_held

logger = logging.getLogger("durable.supervisor")

_PR_SET_PDEATHSIG = 1  # prctl(2)


def spawn(run: Callable[[Link], int], forget: Callable[[], None]) -> tuple[int, Link]:
    """Fork; the child calls `forget`, which closes and resets what is the parent's own, then exits with the
    status that `run` returns. Returns the child's pid and the link to it. Raises OSError when there can be no
    further process.

    Nothing that was made before may be used in the child, whatever `run` is: a lock may be held, a thread is
    missing, a wasm engine hangs at its first compilation.
    """
    ours, theirs = socket.socketpair()
    parent = os.getpid()
    _flush_stdio()  # else the child prints what the parent had buffered once more
    try:
        pid = _fork(lambda: _child(run, forget, parent, ours, theirs))
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return pid, Link(ours)


def _fork(child: Callable[[], NoReturn]) -> int:
    with signals_held():
        pid = os.fork()
        if pid == 0:
            child()
    return pid


def _child(
    run: Callable[[Link], int],
    forget: Callable[[], None],
    parent: int,
    ours: socket.socket,
    theirs: socket.socket,
) -> NoReturn:
    status = 1
    try:
        forget()
        # With this end open in the child, the child would never see the end of its link.
        ours.close()
        # Ctrl-C in a terminal reaches the whole process group; what it means is the supervisor's business.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _die_with(parent)
        status = run(Link(theirs))
    except BaseException:
        logger.exception("process %d failed", os.getpid(), extra={"pid": os.getpid()})
    finally:
        _leave(status)


def _leave(status: int) -> NoReturn:
    # Neither the parent's exit handlers nor its stack may run on in the child.
    try:
        logging.shutdown()
        _flush_stdio()
    finally:
        os._exit(status)


def _flush_stdio() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, broken, or none at all
            stream.flush()


def _die_with(parent: int) -> None:
    """Let the kernel kill this process with its parent. Where it cannot, the end of the link has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could take us along
        os._exit(1)
