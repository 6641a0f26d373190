"""How much is claimed while the database answers and cannot write."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from durable import metrics
from durable.config import Config
from durable.journal.faults import DatabaseImpaired, JournalUnavailable
from durable.store.leases import Claim
from durable.timing import DatabaseClock
from workers.claims import CLAIM_BATCH, ClaimLoop
from workers.restraint import ENOUGH, FEW, FORGET_AFTER, Restraint
from workers.turns import Turns

LONGEST = 10.0
FULL = DatabaseImpaired("No space left on device")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def restraint(clock: Clock) -> Restraint:
    return Restraint(LONGEST, clock)


def succeed_until_it_ends(restraint: Restraint) -> int:
    """How many tasks that takes."""
    count = 0
    while restraint.is_on:
        restraint.success()
        count += 1
    return count


def test_nothing_is_held_back_without_a_fault(restraint: Restraint) -> None:
    restraint.success()
    assert (restraint.seconds_left(), restraint.most(100), restraint.is_on) == (0, 100, False)


def test_other_faults_of_the_database_hold_nothing_back(restraint: Restraint) -> None:
    assert not restraint.blames(JournalUnavailable("connection lost"))
    assert not restraint.is_on


def test_pauses_grow_from_fault_to_fault_up_to_the_longest(restraint: Restraint, clock: Clock) -> None:
    pauses = []
    for _ in range(6):
        assert restraint.blames(FULL)
        pauses.append(restraint.seconds_left())
        clock.now += restraint.seconds_left()
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_what_fails_during_a_pause_does_not_lengthen_it(restraint: Restraint, clock: Clock) -> None:
    for _ in range(1000):  # the tasks that ran when the disk became full
        restraint.blames(FULL)
    assert restraint.seconds_left() == 1
    clock.now += 0.5
    restraint.success()  # that of one which needed no room
    assert restraint.most(100) == FEW


def test_few_tasks_are_tried_and_more_and_more_as_they_succeed(restraint: Restraint, clock: Clock) -> None:
    restraint.blames(FULL)
    clock.now += 1
    most = []
    for _ in range(3):
        most.append(restraint.most(100))
        restraint.success()
    assert most == [FEW, 2 * FEW, 4 * FEW]
    restraint.blames(FULL)
    assert restraint.most(100) == FEW
    assert restraint.seconds_left() == 2
    clock.now += 2
    succeed_until_it_ends(restraint)
    assert restraint.most(1000) == 1000 > ENOUGH


def test_a_fault_soon_after_the_last_ones_end_counts_as_the_same(restraint: Restraint, clock: Clock) -> None:
    for expected in (1, 2, 4):
        restraint.blames(FULL)
        assert restraint.seconds_left() == expected
        clock.now += expected
        succeed_until_it_ends(restraint)
    clock.now += FORGET_AFTER
    restraint.blames(FULL)
    assert restraint.seconds_left() == 1


def test_it_ends_by_itself_when_there_is_nothing_to_try(restraint: Restraint, clock: Clock) -> None:
    restraint.blames(FULL)
    clock.now += FORGET_AFTER - 0.1
    assert restraint.most(100) == FEW
    clock.now += 0.1
    assert restraint.most(100) == 100


def test_beginning_and_end_are_said_once_and_shown(
    restraint: Restraint, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        restraint.blames(FULL)
        clock.now += restraint.seconds_left()
    assert metrics.cells.read()[metrics.database_impaired.place] == 1
    succeed_until_it_ends(restraint)
    assert metrics.cells.read()[metrics.database_impaired.place] == 0
    [began, ended] = caplog.records
    assert (began.levelno, ended.levelno) == (logging.WARNING, logging.INFO)
    assert began.getMessage().endswith("No space left on device")
    assert ended.getMessage() == "tasks are claimed as usual again"


def test_a_claim_asks_for_no_more_than_that(restraint: Restraint) -> None:
    limits = []

    class Store:
        async def claim(self, worker: int, limit: int, lacking: object) -> Claim:
            limits.append(limit)
            return Claim([], 0.0, None, [], [])

    store: Any = Store()
    claims = ClaimLoop(
        Config(), store, 1, DatabaseClock(), Turns(), running=lambda: 0, start=lambda task: None, known=list,
        restraint=restraint,
    )  # fmt: skip
    asyncio.run(claims.claim_once())
    restraint.blames(FULL)
    asyncio.run(claims.claim_once())
    assert limits == [CLAIM_BATCH, FEW]
