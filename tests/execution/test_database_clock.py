"""The worker's idea of the database's time."""

from __future__ import annotations

import pytest

from durable.timing import DatabaseClock

MS = 1_000_000
SECOND = 1000 * MS


class Host:
    """A host and a database whose clocks go alike; `database` is how far the database's is ahead, in nanoseconds."""

    def __init__(self) -> None:
        self.monotonic = 7 * SECOND
        self.database = 1_000_000 * SECOND
        self.clock = DatabaseClock(lambda: self.monotonic)

    def ask(self, there: int, back: int) -> None:
        """An answer of which the question takes so long to get there, and the answer to come back."""
        asked_at = self.clock.monotonic()
        self.monotonic += there
        answer = (self.monotonic + self.database) / SECOND
        self.monotonic += back
        self.clock.learn(answer, asked_at)

    @property
    def behind(self) -> int:
        return self.monotonic + self.database - self.clock.now()


@pytest.fixture
def host() -> Host:
    return Host()


def test_whatever_the_host_thinks_the_first_answer_counts(host: Host) -> None:
    host.ask(2 * MS, 3 * MS)
    assert host.behind == 3 * MS


def test_a_late_answer_does_not_set_it_back(host: Host) -> None:
    """It was on its way when the process was stopped for five seconds. A sleep that begins now must not be so much
    shorter.
    """
    host.ask(1 * MS, 1 * MS)
    host.ask(1 * MS, 5 * SECOND)
    assert host.behind == 1 * MS


def test_a_quicker_answer_makes_it_more_exact(host: Host) -> None:
    host.ask(1 * MS, 5 * SECOND)
    host.ask(1 * MS, 1 * MS)
    assert host.behind == 1 * MS


@pytest.mark.parametrize("leap", [-3600 * SECOND, -2 * MS, 2 * MS, 3600 * SECOND])
def test_it_follows_the_clock_of_the_database(host: Host, leap: int) -> None:
    host.ask(1 * MS, 1 * MS)
    host.database += leap
    host.ask(1 * MS, 1 * MS)
    assert abs(host.behind) <= 1 * MS


def test_it_is_not_ahead(host: Host) -> None:
    host.ask(1 * MS, 1 * MS)
    for there, back in [(1, 1), (4000, 1), (1, 4000), (300, 300), (2, 2)]:
        host.ask(there * MS, back * MS)
        assert 0 <= host.behind <= 1 * MS
