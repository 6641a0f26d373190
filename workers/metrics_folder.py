"""The folder that all processes of a service keep their counters in; gone with the service, however that ended.

The folder itself is locked (flock) as long as any of these processes lives, for forked ones share the lock. One that
nobody has locked was left by a service that was killed, and the next service removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from durable.errors import ConfigError

_PREFIX = "durable-metrics-"


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """A new one, removed at the end. Raises ConfigError."""
    parent = Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or tempfile.gettempdir())
    try:
        _remove_left_ones(parent)
        folder, lock = _make(parent)
    except OSError as error:
        raise ConfigError(f"cannot make a folder for the metrics: {error}") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that has it locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        with suppress(FileNotFoundError):
            lock = _open(folder)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)  # another service found it unlocked as yet, and has removed it


def _remove_left_ones(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # locked; not a folder; somebody else's; gone by now
            _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    lock = _open(folder)
    try:
        if os.fstat(lock).st_uid == os.geteuid():
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
