"""A Python that somebody kills as soon as it runs, as a system without memory does with a compiler."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def killed_python(folder: Path, times: int = 1_000_000) -> Path:
    """To be put in the place of sys.executable; after so many times it lives."""
    tally = shlex.quote(str(folder / "tally"))
    program = folder / "python"
    program.write_text(
        f"#!/bin/sh\necho >>{tally}\n"
        f"[ $(wc -l <{tally}) -gt {times} ] || kill -9 $$\n"
        f'exec {shlex.quote(sys.executable)} "$@"\n'
    )
    program.chmod(0o700)
    return program
