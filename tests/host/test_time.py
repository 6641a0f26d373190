"""Clocks never go backwards, timers are never early, and a deadline outlives suspension, crash and host."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable.execution.outcome import Suspend
from durable.host.pollables import ALWAYS_READY, Pollable
from durable.journal.part import TaskChange
from durable.model import Notification, TaskState
from durable.wasm.traps import GuestTrap
from tests.host.stage import NOW, SECOND, Stage, journal

WALL, MONOTONIC = "wasi:clocks/wall-clock.now", "wasi:clocks/monotonic-clock.now"
POLL, BLOCK, READY = "wasi:io/poll.poll", "wasi:io/poll.[method]pollable.block", "wasi:io/poll.[method]pollable.ready"
WAIT, WAIT_TIMEOUT = "durable:core/notify.notification-blocking", "durable:core/notify.notification-blocking-timeout"
HOUR = 3600 * SECOND


def nanoseconds(moment: tuple[int, int]) -> int:
    return moment[0] * SECOND + moment[1]


# -- clocks ----------------------------------------------------------------------------------------------------------
@given(jumps=st.lists(st.tuples(st.sampled_from([WALL, MONOTONIC]), st.integers(-5 * SECOND, 5 * SECOND)), max_size=20))
def test_no_clock_goes_backwards_whatever_the_database_says(jumps: list[tuple[str, int]]) -> None:
    async def scenario() -> None:
        stage, time = Stage(), NOW
        seen = {WALL: 0, MONOTONIC: 0}
        for clock, jump in jumps:
            time += jump
            stage.time.set(time)
            answer = await stage.call(clock)
            instant = nanoseconds(answer) if clock == WALL else answer
            assert instant >= seen[clock]
            seen[clock] = instant

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("clock", "value"),
    [
        (WALL, f'{{"seconds": {NOW // SECOND + 60}, "nanoseconds": 0}}'),
        (MONOTONIC, str((NOW // SECOND + 60) * SECOND)),
    ],
)
def test_a_live_clock_does_not_go_back_behind_a_recorded_one(clock: str, value: str) -> None:
    """The first run saw a later time than the host that goes on."""

    async def scenario() -> None:
        for next_clock in (WALL, MONOTONIC):
            stage = Stage(journal((clock, value)))
            await stage.call(clock)
            answer = await stage.call(next_clock)
            assert (nanoseconds(answer) if next_clock == WALL else answer) >= (NOW // SECOND + 60) * SECOND

    asyncio.run(scenario())


def test_clocks_are_database_time_and_not_the_time_of_the_host() -> None:
    stage = Stage()
    stage.time.set(1_000 * SECOND + 123_456_789)
    assert asyncio.run(stage.call(MONOTONIC)) == 1_000 * SECOND + 123_456_789
    assert asyncio.run(stage.call(WALL)) == (1_000, 123_456_000)


def test_clocks_go_on_between_two_looks_at_the_database() -> None:
    stage = Stage()
    first = asyncio.run(stage.call(MONOTONIC))
    stage.time.advance(1.5)
    assert asyncio.run(stage.call(MONOTONIC)) == first + 1_500_000_000


def test_a_clock_beyond_signed_64_bits_survives() -> None:
    late = 2**63 + 12_345
    stage = Stage()
    stage.time.set(late)
    assert asyncio.run(stage.call(MONOTONIC)) == late
    replayed = Stage(journal(*stage.recorded))
    assert asyncio.run(replayed.call(MONOTONIC)) == late


# -- sleeping --------------------------------------------------------------------------------------------------------
class Sleeping:
    """Sleeping takes no time: it only moves the host's clock of the stages made here."""

    def __init__(self) -> None:
        self.slept = 0.0
        self._stages: list[Stage] = []

    def stage(self, **settings: Any) -> Stage:
        self._stages.append(Stage(**settings))
        return self._stages[-1]

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        for stage in self._stages:
            stage.time.advance(seconds)


@pytest.fixture
def sleeping(monkeypatch: pytest.MonkeyPatch) -> Sleeping:
    sleeping = Sleeping()
    monkeypatch.setattr("durable.host.pollables.asyncio.sleep", sleeping.sleep)
    return sleeping


def test_a_short_sleep_stays_in_memory_and_is_recorded_after_it(sleeping: Sleeping) -> None:
    stage = sleeping.stage()
    assert asyncio.run(stage.call(POLL, [Pollable(NOW + 2 * SECOND)])) == [0]
    assert sleeping.slept == pytest.approx(2.0)
    assert stage.run.clock.now() >= NOW + 2 * SECOND, "the timer was early"
    assert stage.recorded == [("wasi:io/poll.poll", "[0]")]
    asyncio.run(stage.call(BLOCK, Pollable(NOW + 3 * SECOND)))
    assert stage.run.clock.now() >= NOW + 3 * SECOND


def test_a_sleep_that_ends_early_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    async def half(seconds: float) -> None:
        stage.time.advance(max(seconds / 2, 1e-6))

    monkeypatch.setattr("durable.host.pollables.asyncio.sleep", half)
    asyncio.run(stage.call(BLOCK, Pollable(NOW + SECOND)))
    assert stage.run.clock.now() >= NOW + SECOND


def test_a_poll_ends_with_the_first_deadline_and_tells_all_that_have_passed(sleeping: Sleeping) -> None:
    stage = sleeping.stage()
    near, far = Pollable(NOW + SECOND), Pollable(NOW + HOUR)
    assert asyncio.run(stage.call(POLL, [far, near, Pollable(NOW - 5), near])) == [2]
    assert sleeping.slept == 0
    assert asyncio.run(stage.call(POLL, [far, near, near])) == [1, 2]
    assert sleeping.slept == pytest.approx(1.0)


def test_a_poll_of_nothing_would_never_end_and_traps() -> None:
    with pytest.raises(GuestTrap, match="empty list"):
        asyncio.run(Stage().call(POLL, []))


def suspended(stage: Stage, function: str, *arguments: Any) -> TaskChange:
    with pytest.raises(Suspend) as caught:
        asyncio.run(stage.call(function, *arguments))
    assert stage.recorded == [], "what is not over is not recorded"
    return caught.value.change


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(POLL, ([Pollable(NOW + HOUR)],)), (BLOCK, (Pollable(NOW + HOUR),))],
)
def test_a_long_sleep_suspends_until_its_deadline_and_is_not_woken_by_notifications(
    function: str, arguments: tuple[Any, ...]
) -> None:
    change = suspended(Stage(), function, *arguments)
    assert change.state is TaskState.SUSPENDED
    assert change.wakeup_at == -(-(NOW + HOUR) // 1000)
    assert change.wakeup_at * 1000 >= NOW + HOUR, "rounded down: the timer would be early"
    assert not change.wakes_on_notification


def test_sleeping_stays_in_memory_up_to_the_suspend_timeout_and_suspends_beyond(sleeping: Sleeping) -> None:
    stage = sleeping.stage(suspend_timeout=10.0)
    asyncio.run(stage.call(BLOCK, Pollable(NOW + 10 * SECOND)))
    assert len(stage.recorded) == 1
    stage = sleeping.stage(suspend_timeout=10.0)
    assert suspended(stage, BLOCK, Pollable(NOW + 10 * SECOND + 1000)).state is TaskState.SUSPENDED


def test_a_task_that_wakes_at_its_deadline_goes_on() -> None:
    stage = Stage()
    stage.time.set(NOW + HOUR)
    assert asyncio.run(stage.call(POLL, [Pollable(NOW + HOUR)])) == [0]


def test_within_a_transaction_a_long_sleep_stays_in_memory(sleeping: Sleeping) -> None:
    stage = sleeping.stage()

    async def scenario() -> None:
        await stage.call("durable:core/core.transaction-enter", "t", False)
        await stage.call(BLOCK, Pollable(NOW + HOUR))
        assert await stage.call(POLL, [Pollable(NOW + 2 * HOUR)]) == [0]

    asyncio.run(scenario())
    assert sleeping.slept == pytest.approx(7200)
    assert stage.parts == []


def test_the_farthest_deadline_can_be_written_down() -> None:
    assert suspended(Stage(), POLL, [Pollable(2**64 - 1)]).wakeup_at == -(-(2**64 - 1) // 1000)


def test_readiness_is_judged_by_the_clock_that_the_guest_sees() -> None:
    stage = Stage()

    async def scenario() -> None:
        deadline = await stage.call(MONOTONIC)
        stage.time.set(NOW - 5 * SECOND)  # the database was replaced by one whose clock is behind
        assert await stage.call(READY, Pollable(deadline)) is True
        assert await stage.call(READY, Pollable(deadline + 1)) is False
        assert await stage.call(POLL, [Pollable(deadline + HOUR), ALWAYS_READY]) == [1]

    asyncio.run(scenario())


# -- waiting for a notification --------------------------------------------------------------------------------------
MESSAGE = Notification(31, datetime(2026, 1, 2, tzinfo=UTC), "e", "1")
IMPATIENT: dict[str, Any] = {"suspend_timeout": 0.0}  # whoever has to wait is suspended at once


def test_waiting_without_a_timeout_suspends_until_a_notification_comes() -> None:
    change = suspended(Stage(**IMPATIENT), WAIT)
    assert change == TaskChange(TaskState.SUSPENDED, wakes_on_notification=True)


def test_a_timeout_counts_from_the_first_time_that_the_call_was_reached() -> None:
    stage = Stage(**IMPATIENT)
    change = suspended(stage, WAIT_TIMEOUT, HOUR)
    deadline = -(-(NOW + HOUR) // 1000)
    assert change == TaskChange(
        TaskState.SUSPENDED, wakeup_at=deadline, wakes_on_notification=True, wait_index=0, wait_until=deadline
    )


def test_the_deadline_is_noted_before_the_wait_so_that_a_crash_does_not_prolong_it() -> None:
    stage = Stage(**IMPATIENT)
    deadline = suspended(stage, WAIT_TIMEOUT, HOUR).wait_until
    assert stage.changes == [
        TaskChange(TaskState.ACTIVE, wakeup_at=deadline, wakes_on_notification=True, wait_index=0, wait_until=deadline)
    ]


def test_a_later_run_keeps_the_deadline_of_the_first() -> None:
    first = suspended(Stage(**IMPATIENT), WAIT_TIMEOUT, HOUR)
    assert first.wait_index is not None
    assert first.wait_until is not None
    for hours in (0.25, 0.5, 0.999):
        stage = Stage(wait=(first.wait_index, first.wait_until), **IMPATIENT)
        stage.time.set(NOW + int(hours * HOUR))
        assert suspended(stage, WAIT_TIMEOUT, HOUR) == first
    stage = Stage(wait=(first.wait_index, first.wait_until), **IMPATIENT)
    stage.time.set(NOW + HOUR + 1000)
    assert asyncio.run(stage.call(WAIT_TIMEOUT, HOUR)) is None
    assert stage.recorded == [("durable:core/notify.notification-blocking-timeout", "null")]


def test_the_deadline_of_an_earlier_wait_does_not_count_for_a_later_one() -> None:
    stage = Stage(
        journal(("durable:core/notify.notification-blocking-timeout", "null")), wait=(0, NOW // 1000 - 5), **IMPATIENT
    )
    assert asyncio.run(stage.call(WAIT_TIMEOUT, HOUR)) is None
    change = suspended(stage, WAIT_TIMEOUT, HOUR)
    assert (change.wait_index, change.wait_until) == (1, -(-(NOW + HOUR) // 1000))


def test_a_notification_that_is_there_is_taken_even_after_the_deadline() -> None:
    stage = Stage(wait=(0, NOW // 1000 - 5))
    stage.outside.notifications_waiting = [MESSAGE]
    assert asyncio.run(stage.call(WAIT_TIMEOUT, 1)) == ((1_767_312_000, 0), "e", "1")
    assert stage.taken == [31]


def test_a_timeout_of_nothing_is_only_a_look() -> None:
    stage = Stage(**IMPATIENT)
    stage.time.set(NOW // 1000 * 1000)  # PostgreSQL's times are in microseconds
    assert asyncio.run(stage.call(WAIT_TIMEOUT, 0)) is None
    assert stage.recorded == [("durable:core/notify.notification-blocking-timeout", "null")]


@pytest.mark.parametrize("timeout", [1, SECOND, 2**63, 2**64 - 1])
def test_every_timeout_can_be_waited_for(timeout: int) -> None:
    deadline = suspended(Stage(**IMPATIENT), WAIT_TIMEOUT, timeout).wakeup_at
    assert deadline is not None
    assert NOW // 1000 < deadline <= 2**62 // 1000 + 1  # which PostgreSQL can hold


async def until_it_waits(stage: Stage) -> None:
    while not stage.run.inbox.waiting:  # noqa: ASYNC110  it tells nobody
        await asyncio.sleep(0)


def test_a_wait_in_memory_ends_with_a_hint_and_with_the_timeout() -> None:
    async def scenario() -> None:
        stage = Stage()
        waiting = asyncio.create_task(stage.call(WAIT_TIMEOUT, HOUR))
        await until_it_waits(stage)
        stage.outside.notifications_waiting = [MESSAGE]
        stage.run.inbox.hint()
        async with asyncio.timeout(10):
            assert (await waiting)[1] == "e"
        waiting = asyncio.create_task(stage.call(WAIT_TIMEOUT, 20_000_000))
        await until_it_waits(stage)
        stage.time.advance(0.021)
        async with asyncio.timeout(10):
            assert await waiting is None

    asyncio.run(scenario())


def test_a_wait_that_takes_longer_than_the_suspend_timeout_gives_the_memory_back() -> None:
    stage = Stage(suspend_timeout=0.02)
    assert suspended(stage, WAIT).state is TaskState.SUSPENDED
