"""Damaged components: each is refused with a reason, or runs to an end that its task can be told."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hostile.batches import NOWHERE, run_batch
from tests.proof import figure, seed

CASES = figure(600, 20_000)
BATCH = 5000
pytestmark = [pytest.mark.proof, pytest.mark.timeout(1800)]


def test_no_damaged_component_harms_the_host() -> None:
    """Flipped bits, truncation, huge numbers, sections swapped, doubled, dropped or taken from another component."""
    chosen, outcomes = seed(), Counter[str]()
    for first in range(0, CASES, BATCH):
        told = run_batch("tests.hostile.mutants", chosen, first, min(BATCH, CASES - first), NOWHERE)
        assert told["problems"] == []
        assert told["growth"] < 64 << 20, "memory grows"
        outcomes.update(told["outcomes"])
    print(f"{CASES} mutants: {dict(outcomes)}")
    assert outcomes["refused"] > CASES // 3, "hardly one was damaged"
    assert outcomes.total() - outcomes["refused"] > CASES // 50, "hardly one was run"
