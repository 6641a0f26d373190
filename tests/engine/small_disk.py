"""A small disk of its own for a command, where a test may mount one, to be filled to the last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$0" none "$1" && shift && exec "$@"'


def on_a_small_disk(folder: Path, size: str) -> list[str]:
    """Runs the command that follows with a disk at `folder`, which nobody else sees and which is gone with it."""
    return ["unshare", "--mount", "sh", "-c", _MOUNT, size, str(folder)]


def skip_unless_mountable(folder: Path) -> None:
    try:
        subprocess.run([*on_a_small_disk(folder, "1m"), "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk to be filled takes the right to mount one: {error}")


def as_seen_by(pid: int, folder: Path) -> Path:
    """The folder as it is for that process, for us."""
    return Path(f"/proc/{pid}/root{folder}")


def fill(file: Path) -> None:
    """Let the file take all that is left on its disk."""
    with file.open("ab", buffering=0) as filler:
        for size in (1 << 16, 1):
            with suppress(OSError):
                while filler.write(bytes(size)):
                    pass
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            filler.write(b"x")
