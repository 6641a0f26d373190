"""Who is asked to reclaim whose tasks, without processes."""

from __future__ import annotations

from durable.model import Culprit
from workers.link import Reclaim
from workers.orphans import ANSWER_WITHIN, BATCH, CAPACITY, Orphans


def test_the_rows_given_to_one_worker_are_offered_to_nobody_else() -> None:
    orphans = Orphans()
    orphans.add([7, 8])
    assert orphans.ask(pid=1, now=0.0) == Reclaim((7, 8))
    assert orphans.waiting == ()


def test_a_worker_that_owes_an_answer_is_not_asked_again() -> None:
    orphans = Orphans()
    orphans.add([7])
    orphans.ask(pid=1, now=0.0)
    assert not orphans.may_ask(1)
    orphans.answered(1, [7])
    assert orphans.may_ask(1)
    assert orphans.waiting == ()


def test_the_rows_of_an_asked_worker_that_dies_wait_again_with_its_own() -> None:
    orphans = Orphans()
    orphans.add([7])
    orphans.ask(pid=1, now=0.0)
    orphans.died(1)
    orphans.add([8])
    assert orphans.waiting == (7, 8)


def test_a_worker_that_does_not_answer_is_passed_over_and_asked_nothing_more() -> None:
    orphans = Orphans()
    orphans.add([7])
    orphans.ask(pid=1, now=0.0)
    assert orphans.next_deadline() == ANSWER_WITHIN
    orphans.pass_over(ANSWER_WITHIN - 0.01)
    assert not orphans.waiting
    orphans.pass_over(ANSWER_WITHIN)
    assert orphans.waiting == (7,)
    assert orphans.next_deadline() is None
    assert not orphans.may_ask(1)


def test_a_late_answer_counts_too() -> None:
    orphans = Orphans()
    orphans.add([7])
    orphans.ask(pid=1, now=0.0)
    orphans.pass_over(ANSWER_WITHIN)
    orphans.answered(1, [7])
    assert orphans.waiting == ()


def test_a_message_names_a_batch_at_most() -> None:
    orphans = Orphans()
    orphans.add(range(BATCH + 1))
    assert orphans.ask(pid=1, now=0.0) == Reclaim(tuple(range(BATCH)))
    assert orphans.waiting == (BATCH,)


def test_of_too_many_the_oldest_are_left_to_the_sweep() -> None:
    orphans = Orphans()
    orphans.add(range(CAPACITY))
    assert len(orphans.waiting) == CAPACITY
    orphans.add([CAPACITY])
    assert orphans.waiting == tuple(range(1, CAPACITY + 1))


def test_a_culprit_is_named_once_whatever_the_number_of_rows_of_its_process() -> None:
    culprit = Culprit(task_id=3, lease=1, cause="was killed by signal SIGSEGV")
    orphans = Orphans()
    orphans.add([7, 8], (culprit,))
    assert orphans.ask(pid=1, now=0.0) == Reclaim((7, 8), (culprit,))


def test_a_culprit_is_named_again_to_whoever_is_asked_next() -> None:
    culprit = Culprit(task_id=3, lease=1, cause="was killed by signal SIGSEGV")
    orphans = Orphans()
    orphans.add([7], (culprit,))
    orphans.ask(pid=1, now=0.0)
    orphans.died(1)
    assert orphans.ask(pid=2, now=0.0) == Reclaim((7,), (culprit,))
