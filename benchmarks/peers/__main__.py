"""`python -m benchmarks.peers [NAME…] [--json FILE]`: durable beside others."""

from __future__ import annotations

import sys

from benchmarks.command import command
from benchmarks.environments import versions
from benchmarks.peers.comparing import latency, launch, no_op, recovery, steps

_PACKAGES = {"pgqueuer": "pgqueuer", "procrastinate": "procrastinate", "dbos": "dbos", "absurd-sdk": "absurd"}

if __name__ == "__main__":
    contests = {"no-op": no_op, "steps": steps, "launch": launch, "latency": latency, "recovery": recovery}
    sys.exit(command("benchmarks.peers", contests, more={"peers": versions(_PACKAGES)}))
