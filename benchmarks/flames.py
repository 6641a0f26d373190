"""`python -m benchmarks.flames`: where a worker's time goes, as flame graphs in docs/performance.

py-spy looks at the one worker of a service a hundred times a second, from outside, while it works off tasks. Threads
that wait do not count.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environments import environment
from benchmarks.stage import Stage, new_stage
from benchmarks.throughput import working

_PICTURES = Path(__file__).parent.parent / "docs" / "performance"
_SECONDS = 15
_BATCH = 3000


def flame_graph(stage: Stage, workflow: str, tool: Path, picture: Path) -> None:
    with stage.database() as database, working(stage, database, workflow, workers=1) as at_work:
        at_work.warm_up(_BATCH)
        (worker,) = at_work.workers
        watching = subprocess.Popen(_watch(tool, worker, picture))
        while watching.poll() is None:
            at_work.drain(_BATCH)
        if watching.returncode:
            raise SystemExit(f"py-spy failed: {watching.returncode}")
    # py-spy makes its own command the title, with the folders of this machine.
    drawn = re.sub(r"(?<=>)[^<>]*py-spy[^<>]* record [^<>]*(?=<)", f"a worker at {workflow}", picture.read_text())
    picture.write_text(drawn)


def _watch(tool: Path, worker: int, picture: Path) -> Sequence[str]:
    return [
        str(tool), "record", "--pid", str(worker), "--duration", str(_SECONDS), "--rate", "100", "--output",
        str(picture), "--format", "flamegraph",
    ]  # fmt: skip


def main() -> int:
    tool = environment("flames") / "py-spy"
    with new_stage(rounds=1, scale=1.0) as stage:
        for workflow in ("noop", "ten-events"):
            flame_graph(stage, workflow, tool, _PICTURES / f"flames-{workflow}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
