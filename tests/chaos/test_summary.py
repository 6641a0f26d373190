"""What `make chaos` printed, as the table of `docs/reliability.md`."""

from __future__ import annotations

from tests.chaos.summary import summary

_LOG = """
==================================== PASSES ====================================
_________________________ test_no_promise_is_broken[0] _________________________
[gw0] linux -- Python 3.11.7 python
----------------------------- Captured stdout call -----------------------------
DURABLE_SEED=11
250 runs of 50 moves: 1000 tasks, 10 kills, 5 kills of a busy worker, 70 events, 20 leases, 3 stops, 2 cuts, 9 requests
------------------------------ Captured log call -------------------------------
WARNING  not of interest
_________________________ test_no_promise_is_broken[1] _________________________
----------------------------- Captured stdout call -----------------------------
DURABLE_SEED=12
250 runs of 50 moves: 2000 tasks, 10 kills, 5 kills of a busy worker, 70 events, 20 leases, 3 stops, 2 cuts, 9 requests
_____________________ test_nothing_fails_and_nothing_is_lost ___________________
----------------------------- Captured stdout call -----------------------------
982 tasks, 20 rolling restarts
________________ test_a_thousand_respawns_leave_nothing_behind ________________
----------------------------- Captured stdout call -----------------------------
DURABLE_SEED 13
1,000 respawns: Held(descriptors=11, threads=1, resident=1048576) Held(descriptors=12, threads=1, resident=2097152)
_____________________________ test_that_says_nothing ___________________________
======================== 4 passed in 582.47s (0:09:42) =========================
"""


def test_pieces_are_one_row_and_what_has_no_seed_has_none() -> None:
    _, _, simulation, respawns, deployments = summary(_LOG)
    assert simulation.startswith("| simulation | 11, 12 | 500 runs of 50 moves: 3,000 tasks, 140 events,")
    assert "20 kills (10 of a busy worker)" in simulation
    assert respawns == (
        "| supervisor | 13 | 1,000 respawns: descriptors 11 and 12, threads 1 and 1, resident memory 1.0 and 2.0 MiB |"
    )
    assert deployments == "| deployments | none | 982 tasks, 20 rolling restarts, none failed |"


def test_what_did_not_pass_is_not_there() -> None:
    assert list(summary("=== FAILURES ===\n___ test_no_promise_is_broken[0] ___\n")) == list(summary(""))
