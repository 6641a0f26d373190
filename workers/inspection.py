"""What SIGQUIT does: every worker's tasks and stacks go into the log, and all goes on."""

from __future__ import annotations

import logging
import os
import time

from workers.child_signals import DUMP_BY_FORCE
from workers.hang_watch import SILENT
from workers.link import Dump
from workers.service_report import describe
from workers.slots import Child, Slots

logger = logging.getLogger("durable.supervisor")


def dump(slots: Slots, status: str) -> None:
    """Say what is known of each worker, and let it say the rest."""
    logger.warning("received SIGQUIT; %s", status)
    now = time.monotonic()
    for slot in slots:
        logger.warning("%s", describe(slot, now), extra={"worker": slot.number})
        if slot.child is not None:
            _ask(slot.child, now)


def _ask(child: Child, now: float) -> None:
    if now - child.last_progress < SILENT:
        child.link.send(Dump())
        return
    about = {"worker": child.slot, "pid": child.pid}
    logger.warning("%s does not answer; it is made to write its stacks by signal", child, extra=about)
    os.kill(child.pid, DUMP_BY_FORCE)
