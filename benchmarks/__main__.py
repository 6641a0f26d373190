"""`python -m benchmarks [NAME…] [--json FILE]`: figures of durable."""

from __future__ import annotations

import sys

from benchmarks.catalogue import BENCHMARKS, LONG
from benchmarks.command import command

if __name__ == "__main__":
    sys.exit(command("benchmarks", BENCHMARKS, LONG))
