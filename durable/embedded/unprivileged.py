"""PostgreSQL refuses to run as root; this finds a way that makes no users and opens no folders."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from durable.embedded.errors import EmbeddedPostgresError
from durable.embedded.private import Owner, give

#: Users that exist nearly everywhere and have no rights of their own.
USUAL_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run PostgreSQL's programs: the words to put before them, and who must own their files."""

    prefix: tuple[str, ...]
    owner: Owner

    def works(self, folder: Path, program: Path) -> bool:
        """True when `program` runs this way and can write to `folder`."""
        script = 'test -w "$1" && exec "$2" --version'
        command = [*self.prefix, "/bin/sh", "-c", script, "sh", str(folder), str(program)]
        try:
            return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


def unprivileged_launch(folder: Path, program: Path) -> Launch:
    """How to run PostgreSQL's `program` on `folder`; an empty folder is given to the user chosen.

    Root tries in turn: a user namespace in which root's own files belong to an ordinary user, and, where such
    namespaces are forbidden (most containers), an existing unprivileged user. A folder that is in use already
    keeps its owner. Raises EmbeddedPostgresError when nothing works.
    """
    if os.geteuid() != 0:
        return Launch((), Owner.of(folder))
    for launch in _ways_for_root(folder):
        if not any(folder.iterdir()):
            give(folder, launch.owner)
        if launch.works(folder, program):
            return launch
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root, and no other user of this host can use {folder.parent}",
        "run durable as another user, or set DURABLE_DATABASE_URL to use a PostgreSQL server of your own",
    )


def _ways_for_root(folder: Path) -> Iterator[Launch]:
    owner = Owner.of(folder)
    if owner.uid != 0:  # it is in use, and PostgreSQL wants to own its folder
        yield from _as_user(owner)
        return
    yield _in_namespace()
    if not any(folder.iterdir()):
        for user in _users(folder.parent):
            yield from _as_user(user)


def _in_namespace() -> Launch:
    """Inside, the files of root belong to an ordinary user, which must have a name: initdb asks for it."""
    user = next(filter(None, map(_entry, USUAL_USERS)), None) or _any_ordinary_user()
    prefix = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    return Launch(prefix, Owner(0, 0))


def _as_user(user: Owner) -> Iterator[Launch]:
    """As that user; if need be with CAP_DAC_OVERRIDE, to pass through root's closed home folder.

    The database's superuser can then reach any file, where in a user namespace it can reach all of root's: no
    great difference, and one more reason to give that role to nobody else.
    """
    who = ("setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups")
    yield Launch((*who, "--"), user)
    yield Launch((*who, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"), user)


def _users(data_folder: Path) -> Iterator[Owner]:
    if (owner := Owner.of(data_folder)).uid != 0:
        yield owner
    for entry in filter(None, map(_entry, USUAL_USERS)):
        yield Owner(entry.pw_uid, entry.pw_gid)


def _entry(name: str) -> pwd.struct_passwd | None:
    with suppress(KeyError):
        return pwd.getpwnam(name)
    return None


def _any_ordinary_user() -> pwd.struct_passwd:
    for entry in pwd.getpwall():
        if entry.pw_uid != 0:
            return entry
    raise EmbeddedPostgresError("PostgreSQL refuses to run as root, and this host knows no other user")
