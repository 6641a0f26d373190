"""Less than a processor for a process, so that two processors can stand for many. Linux, and root as a rule."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PERIOD = 10_000  # µs; short, or a worker would be away for long at a time
_CONTROL_GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def each_limited_to(share: float, pids: Sequence[int]) -> Iterator[None]:
    """Each of the processes gets this share of one processor, until the end or its death.

    Raises PermissionError where this user, or this container, may make no control group with a limit for CPU time.
    """
    with ExitStack() as groups:
        for pid in pids:
            groups.enter_context(_limited(pid, round(share * _PERIOD)))
        yield


@contextmanager
def _limited(pid: int, quota: int) -> Iterator[None]:
    parent = _parent()
    group = parent / f"durable-bench-{os.getpid()}-{pid}"
    try:
        group.mkdir()
    except OSError as error:
        raise PermissionError(f"no control group can be made in {parent}: {error.strerror}") from error
    try:
        for file, text in _limits(group, quota):
            (group / file).write_text(text)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        with ExitStack() as last:
            last.callback(group.rmdir)
            for left in (group / "cgroup.procs").read_text().split():
                (parent / "cgroup.procs").write_text(left)


def _parent() -> Path:
    """Version 1 has a tree for each resource; in version 2 one tree has them all, if its parents hand them down."""
    version_1 = _CONTROL_GROUPS / "cpu"
    if version_1.is_dir():
        return version_1
    try:
        (_CONTROL_GROUPS / "cgroup.subtree_control").write_text("+cpu")
    except OSError as error:
        raise PermissionError(f"CPU time cannot be limited in {_CONTROL_GROUPS}: {error.strerror}") from error
    return _CONTROL_GROUPS


def _limits(group: Path, quota: int) -> Sequence[tuple[str, str]]:
    if (group / "cpu.max").exists():
        return [("cpu.max", f"{quota} {_PERIOD}")]
    return [("cpu.cfs_period_us", str(_PERIOD)), ("cpu.cfs_quota_us", str(quota))]
