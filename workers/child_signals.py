"""How a forked process reacts to signals that are the supervisor's business, and to those that ask for its stacks."""

from __future__ import annotations

import faulthandler
import logging
import signal
from pathlib import Path
from types import FrameType

from durable.errors import ConfigError
from workers.fatal_signals import show_stacks_of_the_dying
from workers.log_file import open_log

logger = logging.getLogger("durable.supervisor")

#: A terminal sends some of these to the whole process group, as does who signals a group by hand.
SUPERVISORS_OWN = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTTIN, signal.SIGTTOU)
#: Writes the stacks of all threads to stderr, also while the event loop stands still.
DUMP_BY_FORCE = signal.SIGUSR2

_STDERR = 2


def set_up_signals(log_file: Path | None) -> None:
    """Call in a child before any signal can reach it. SIGABRT and fatal signals show the stacks of all threads."""
    for signum in SUPERVISORS_OWN:
        signal.signal(signum, signal.SIG_IGN)
    show_stacks_of_the_dying()
    faulthandler.register(DUMP_BY_FORCE, _STDERR, all_threads=True)

    def reopen(signum: int, frame: FrameType | None) -> None:
        reopen_log(log_file)

    signal.signal(signal.SIGUSR1, reopen)


def reopen_log(log_file: Path | None) -> None:
    """What SIGUSR1 does. Without a log file, nothing."""
    if log_file is None:
        return
    try:
        open_log(log_file)
    except ConfigError as error:
        logger.error("%s", error)
