"""Batches of hostile cases, each in a process of its own: a crash of the host must be noticed and have a name."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

#: A database that is not there, for guests that need none.
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def run_batch(module: str, *arguments: object) -> dict[str, Any]:
    """What the module's process tells at its end. It prints the case before it runs it, so a crash has a name."""
    command = [sys.executable, "-X", "faulthandler", "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700)
    *_, last = done.stdout.splitlines() or ["nothing"]
    assert done.returncode == 0, f"the process died at case {last} ({done.returncode}):\n{done.stderr[-4000:]}"
    summary: dict[str, Any] = json.loads(last)
    return summary
