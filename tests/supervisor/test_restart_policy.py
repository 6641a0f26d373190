"""The restart policy by itself: any sequence of deaths, no process."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from workers.restart_policy import Death, Halt, Restart, RestartLimits, RestartState, after_death

LIMITS = RestartLimits()


@dataclass(frozen=True)
class Life:
    """Of one worker, in seconds. `ready` None: it died while it booted."""

    boot: float
    ready: float | None
    status: int
    chance: float


seconds = st.floats(0, 200)
statuses = st.sampled_from([-9, -11, 0, 1, 69])
chances = st.floats(0, 1)
healthy_lives = st.builds(Life, seconds, st.floats(60.001, 10**6), statuses, chances)
lives = st.builds(Life, seconds, st.none() | seconds, statuses, chances)


@dataclass(frozen=True)
class Outcome:
    death: Death
    delay: float


def outcomes(lives: list[Life], limits: RestartLimits = LIMITS) -> list[Outcome]:
    """Live them one after the other in one slot."""
    now, state, seen = 0.0, RestartState(), list[Outcome]()
    for life in lives:
        ready_at = None if life.ready is None else now + life.boot
        now += life.boot + (life.ready or 0.0)
        death = Death(now, ready_at, life.status)
        state, decision = after_death(state, death, limits, life.chance)
        assert isinstance(decision, Restart)
        assert len(state.immediate) <= limits.intensity
        seen.append(Outcome(death, decision.delay))
        now += decision.delay
    return seen


def dies_at_boot(times: int, *, chance: float = 0.0, status: int = 1, boot: float = 0.0) -> list[Life]:
    return [Life(boot, None, status, chance)] * times


@given(st.lists(lives, max_size=60))
def test_a_restart_is_immediate_or_waits_between_a_tenth_of_a_second_and_thirty(lived: list[Life]) -> None:
    for outcome in outcomes(lived):
        assert outcome.delay == 0 or 0.1 <= outcome.delay <= 30


@given(st.lists(lives, max_size=60))
def test_only_who_had_become_ready_is_started_again_at_once(lived: list[Life]) -> None:
    for outcome in outcomes(lived):
        assert outcome.delay > 0 or outcome.death.ready_at is not None


@given(st.lists(st.builds(Life, st.floats(0, 1), st.floats(0, 8), statuses, chances), max_size=60))
def test_no_period_has_more_immediate_restarts_than_allowed(lived: list[Life]) -> None:
    immediate = [outcome.death.at for outcome in outcomes(lived) if outcome.delay == 0]
    for first, one_too_many in zip(immediate, immediate[LIMITS.intensity :], strict=False):
        assert one_too_many - first >= LIMITS.period


@given(st.lists(lives, max_size=20), healthy_lives)
def test_a_worker_that_worked_for_long_is_started_again_at_once(lived: list[Life], healthy: Life) -> None:
    assert outcomes([*lived, healthy])[-1].delay == 0


@given(st.lists(lives, max_size=20), healthy_lives)
def test_health_puts_the_delay_back_to_the_shortest(lived: list[Life], healthy: Life) -> None:
    assert outcomes([*lived, healthy, *dies_at_boot(1)])[-1].delay == LIMITS.first_delay


@given(chances)
def test_ten_kills_over_twenty_seconds_never_wait(chance: float) -> None:
    assert [o.delay for o in outcomes([Life(0.2, 1.8, -9, chance)] * 10)] == [0.0] * 10


def test_the_eleventh_kill_within_a_minute_waits() -> None:
    assert [o.delay for o in outcomes([Life(0.2, 1.8, -9, 0.0)] * 13)][10:] == [0.1, 0.2, 0.4]


@given(st.lists(chances, min_size=12, max_size=12))
def test_a_worker_that_never_boots_is_started_ten_times_in_the_first_minute(drawn: list[float]) -> None:
    starts, now = 1, 0.0
    for outcome in outcomes([Life(0.0, None, 1, chance) for chance in drawn]):
        now += outcome.delay
        starts += now < 60
    assert starts <= 10


def test_delays_double_up_to_the_longest() -> None:
    delays = [outcome.delay for outcome in outcomes(dies_at_boot(12))]
    assert delays[:8] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8]
    assert delays[8:] == [24.0] * 4
    assert outcomes(dies_at_boot(12, chance=1.0))[-1].delay == 30.0


@given(st.lists(lives, min_size=1, max_size=30))
def test_chance_lengthens_a_delay_by_a_quarter_at_most(lived: list[Life]) -> None:
    before = [replace(life, chance=0.0) for life in lived[:-1]]
    without = outcomes([*before, replace(lived[-1], chance=0.0)])[-1]
    with_chance = outcomes([*before, lived[-1]])[-1]
    assert without.delay <= with_chance.delay <= without.delay * 1.25


@given(st.lists(st.builds(Life, seconds, st.none() | st.floats(0, 59), st.just(1), st.just(0.0)), max_size=40))
def test_without_health_a_delay_is_never_shorter_than_the_one_before(lived: list[Life]) -> None:
    delays = [outcome.delay for outcome in outcomes(lived) if outcome.delay]
    assert delays == sorted(delays)


@given(chances)
def test_an_absent_database_is_asked_every_five_seconds_however_long_it_is_absent(chance: float) -> None:
    outcome = outcomes(dies_at_boot(200, chance=chance, status=69))[-1]
    assert 4.0 <= outcome.delay <= 5.0


def test_a_configuration_error_at_boot_halts() -> None:
    assert after_death(RestartState(), Death(1.0, None, 78), LIMITS, 0.5)[1] == Halt(78)


@given(st.integers(-64, 255).filter(lambda status: status != 78), st.none() | st.just(0.0))
def test_nothing_else_halts(status: int, ready_at: float | None) -> None:
    assert isinstance(after_death(RestartState(), Death(1.0, ready_at, status), LIMITS, 0.5)[1], Restart)


def test_a_configuration_error_of_a_worker_that_had_been_ready_is_tried_once_more() -> None:
    assert after_death(RestartState(), Death(1.0, 0.0, 78), LIMITS, 0.5)[1] == Restart(0.0)
