"""Virtual environments for what durable itself does not need, made once and kept."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_REQUIREMENTS = Path(__file__).parent / "requirements"
_ENVIRONMENTS = Path(__file__).parent.parent / "build" / "environments"


def environment(name: str) -> Path:
    """The folder of its commands; pip fetches what `requirements/NAME.txt` pins when that has changed."""
    wanted = (_REQUIREMENTS / f"{name}.txt").read_text()
    folder = _ENVIRONMENTS / name
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        _install(name, folder)
        installed.write_text(wanted)
    return folder / "bin"


def versions(packages: Mapping[str, str]) -> str:
    """Of the packages, each with the environment it is in, as text."""
    pinned = {
        environment: dict(line.split("==") for line in (_REQUIREMENTS / f"{environment}.txt").read_text().splitlines())
        for environment in set(packages.values())
    }
    return ", ".join(f"{package} {pinned[environment][package]}" for package, environment in packages.items())


def _install(name: str, folder: Path) -> None:
    print(f"installing {name} … ", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run(
        [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:",
         "--requirement", _REQUIREMENTS / f"{name}.txt"],
        check=True,
    )  # fmt: skip


if __name__ == "__main__":
    print(environment(sys.argv[1]))
