"""Figures of the proofs: short in `make test`, full in `make chaos`; and the seed that repeats a run."""

from __future__ import annotations

import os
import random

import pytest

IS_FULL = bool(os.environ.get("PROOF_FULL"))


def figure(short: int, full: int) -> int:
    """How often to try: `full` when PROOF_FULL is set."""
    return full if IS_FULL else short


def pieces(full: int) -> pytest.MarkDecorator:
    """Divides a long test into so many pieces, for processes side by side. Each draws a seed of its own."""
    return pytest.mark.parametrize("piece", range(full if IS_FULL else 1))


def seed() -> int:
    """Of this run; DURABLE_SEED repeats an earlier one. Printed, so that pytest shows it with a failure."""
    chosen = int(os.environ.get("DURABLE_SEED", random.randrange(2**32)))
    print(f"DURABLE_SEED={chosen}")
    return chosen
