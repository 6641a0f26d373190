"""Damaged components: each is refused with a reason, or runs to an end that its task can be told."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.hostile.batches import NOWHERE, run_batch
from tests.proof import figure, pieces, seed

CASES = figure(600, 5000)  # of each of four pieces
pytestmark = [pytest.mark.proof(minutes=1), pytest.mark.timeout(1800)]


@pieces(4)
def test_no_damaged_component_harms_the_host(piece: int) -> None:
    """Flipped bits, truncation, huge numbers, sections swapped, doubled, dropped or taken from another component."""
    told = run_batch("tests.hostile.mutants", seed(), piece * CASES, CASES, NOWHERE)
    assert told["problems"] == []
    assert told["growth"] < 64 << 20, "memory grows"
    outcomes = Counter[str](told["outcomes"])
    print(f"{CASES} mutants: {dict(outcomes)}")
    assert outcomes["refused"] > CASES // 3, "hardly one was damaged"
    assert outcomes.total() - outcomes["refused"] > CASES // 50, "hardly one was run"
