"""Tracebacks for processes that are aborted or crash."""

from __future__ import annotations

import ctypes
import faulthandler
import sys

_STDERR = 2
_SS_DISABLE = 2  # sigaltstack(2)


class _Stack(ctypes.Structure):
    """stack_t of Linux."""

    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def show_stacks_of_the_dying() -> None:
    """From now on SIGABRT and the signals of a crash write the stacks of all threads to stderr."""
    faulthandler.enable(_STDERR, all_threads=True)
    # faulthandler brings an alternate stack along, on which Python then handles all signals. It has room for one or
    # two at a time: a burst of signals runs over its end, and that is a crash.
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None)
