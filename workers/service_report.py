"""What the supervisor says of all its workers together: to systemd, to the exporter, and in its log. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workers.hang_watch import SILENT
from workers.link import Fleet
from workers.slots import Child, Slot, Slots


def status(slots: Slots, wanted: int, phase: str, trouble: str) -> str:
    """`4/4 workers, 12 active`, and what is the matter."""
    active = sum(child.tasks for child in slots.children)
    said = [f"{sum(slot.is_up for slot in slots)}/{wanted} workers", f"{active} active", phase, trouble]
    return ", ".join(filter(None, said))


def fleet(slots: Slots, restarts: Mapping[int, int], is_ready: bool) -> Fleet:
    """`is_ready` of the service, as far as it does not depend on one worker."""
    up = tuple(int(slot.is_up) for slot in slots)
    numbers = tuple(slot.number for slot in slots)
    return Fleet(up, tuple(restarts.get(number, 0) for number in numbers), numbers, is_ready and any(up))


def makes_progress(children: Sequence[Child], now: float, watchdog: float | None) -> bool:
    """False when there are workers and none of them is heard.

    One that starts counts, and so does a service without workers: it tries, and to start all of it again would not
    bring the database back. That workers are heard again is `hang_timeout`'s business, one by one.
    """
    recent = max((watchdog or 0.0) / 2, SILENT)
    return not children or any(not child.is_ready or now - child.last_progress < recent for child in children)


def describe(slot: Slot, now: float) -> str:
    """What its worker is at."""
    if (child := slot.child) is None:
        return f"worker {slot.number}: to be started in {max(slot.start_at - now, 0.0):.1f} s"
    return f"{child}: {_state(child)}, {child.tasks} tasks, last heard of {now - child.last_progress:.1f} s ago"


def _state(child: Child) -> str:
    if child.was_killed:
        return "killed"
    if child.abort_deadline is not None:
        return "aborted"
    if child.deadline is not None:
        return "draining"
    return "ready" if child.is_ready else "starting"
