"""How much one statement of many may do."""

from __future__ import annotations

from durable.store.pace import Pace


def test_it_grows_while_statements_are_quick_up_to_the_most() -> None:
    pace = Pace(1000, 3000, longest=1.0)
    grown = []
    for _ in range(3):
        pace.took(0.1)
        grown.append(pace.rows)
    assert grown == [2000, 3000, 3000]


def test_it_stays_where_statements_take_their_time_and_shrinks_when_they_are_slow() -> None:
    pace = Pace(1000, 3000, longest=1.0)
    for seconds in (0.3, 0.4, 0.5):
        pace.took(seconds)
    assert pace.rows == 1000
    pace.took(0.6)
    assert pace.rows == 500
    pace.took_too_long()
    assert pace.rows == 125


def test_the_least_is_one_row_and_has_all_the_time_it_needs() -> None:
    pace = Pace(2, 3000, longest=1.0)
    timeouts = [pace.timeout]
    pace.took_too_long()
    timeouts.append(pace.timeout)
    assert (pace.rows, timeouts) == (1, [1.0, None])
    pace.took(5.0)
    assert pace.rows == 1
