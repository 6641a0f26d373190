"""Files and folders that nobody but the user (and, for root, the user that the server runs as) can reach."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and a group, by number."""

    uid: int
    gid: int

    @classmethod
    def of(cls, path: Path) -> Owner:
        """The owner of `path`. Raises OSError."""
        found = path.stat()
        return cls(found.st_uid, found.st_gid)


def private_folder(path: Path, owner: Owner) -> Path:
    """Make `path` with access for `owner` alone. Raises OSError when it exists and is somebody else's.

    The fallback for sockets lies in a folder where everybody may write, so a stranger may have made it first.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), owner.uid):
        raise PermissionError(f"{path} belongs to somebody else")
    path.chmod(0o700)
    give(path, owner)
    return path


def open_private(path: Path) -> int:
    """Open or make a file for appending; no program that is started inherits it. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    # Without this, one command run with sudo would lock the owner of the folder out.
    if os.geteuid() == 0:
        folder = Owner.of(path.parent)
        os.fchown(descriptor, folder.uid, folder.gid)
    return descriptor


def give(path: Path, owner: Owner) -> None:
    """Hand `path` to `owner`; only root can, for others it is theirs already."""
    if os.geteuid() == 0:
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
