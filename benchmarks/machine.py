"""The conditions of a run: figures mean nothing without them."""

from __future__ import annotations

import os
import platform
import sysconfig
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from durable.version import __version__
from tests.engine.database import Database


def conditions(folder: Path, database: Database) -> dict[str, str]:
    """What the figures depend on, as text for people and for comparing runs."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": f"durable {__version__}",
        "CPU": f"{len(os.sched_getaffinity(0))} x {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1024**3:.0f} GiB",
        "kernel": platform.release(),
        "Python": _python(),
        "PostgreSQL": _postgres(database),
        "file system": f"{file_system(folder)} at {folder.parent}",
        "load before": "{:.2f} (1 min), {:.2f} (5 min)".format(*os.getloadavg()),
    }


def disk_folder() -> Path:
    """A folder for temporary files that is on a disk: on a RAM disk fsync costs nothing, and the figures lie."""
    usual = Path(tempfile.gettempdir())
    return Path("/var/tmp") if file_system(usual) == "tmpfs" else usual


def file_system(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    holding = ((place, kind) for _, place, kind, *_ in mounts if folder.resolve().is_relative_to(place))
    return max(holding, key=lambda mount: len(mount[0]))[1]


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _python() -> str:
    """A build without profile-guided optimisation is slower by a third; pyenv makes such, distributions do not."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS"))
    return platform.python_version() + ("" if "--enable-optimizations" in options else ", not an optimised build")


def _postgres(database: Database) -> str:
    names = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    version, *settings = (str(database.value("SELECT current_setting(%s)", name)) for name in names)
    return ", ".join([version, *(f"{name} = {value}" for name, value in zip(names[1:], settings, strict=True))])
