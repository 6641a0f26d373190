"""When to start a worker again after it died: a state machine without clock, chance or I/O of its own.

The rule, one state per slot of the supervisor:

1. Exit status 78 (configuration or schema) before it was ready: halt. Trying again cannot help.
2. A worker that had become ready is started again at once, up to 10 times in 60 s. Whatever killed it, its
   tasks are orphans until there is a worker, and a single kill is no reason to wait.
3. Everybody else waits: 0.1 s, then twice as long after each such death, up to 30 s. That is a worker that
   dies before it is ready, and one that gets ready only to die again and again. The chance part only
   lengthens a delay (up to a quarter), so that a worker that never boots is started at most 10 times in the
   first minute.
4. Status 69 (database unavailable) waits like this too, but 5 s at most: trying is cheap, and the service
   should be back soon after its database. It is never given up.
5. 60 s of readiness put the delay back to 0.1 s.

The intensity over a period is that of Erlang/OTP supervisors ("maximum restart intensity"), except that
exceeding it slows the slot down instead of ending the service.
"""

from __future__ import annotations

from dataclasses import dataclass

UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h: the database
MISCONFIGURED = 78  # EX_CONFIG: configuration or schema version


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """The figures of the rule; times in seconds."""

    first_delay: float = 0.1
    longest_delay: float = 30.0
    longest_delay_unavailable: float = 5.0
    jitter: float = 0.25
    intensity: int = 10
    period: float = 60.0
    healthy_after: float = 60.0


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended. `at` and `ready_at` on one monotonic clock; a negative status is the signal that
    killed it.
    """

    at: float
    ready_at: float | None
    status: int


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after so many seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Halt:
    """End the service."""

    exit_code: int


@dataclass(frozen=True, slots=True)
class RestartState:
    """What a slot remembers of its workers: delayed restarts since the last health, times of the immediate
    ones.
    """

    delayed: int = 0
    immediate: tuple[float, ...] = ()


def after_death(
    state: RestartState, death: Death, limits: RestartLimits, chance: float
) -> tuple[RestartState, Restart | Halt]:
    """The next state and what to do. `chance` is a random number from 0 to 1."""
    if death.ready_at is None and death.status == MISCONFIGURED:
        return state, Halt(MISCONFIGURED)
    delayed = 0 if _was_healthy(death, limits) else state.delayed
    recent = tuple(at for at in state.immediate if death.at - at < limits.period)
    if death.ready_at is not None and len(recent) < limits.intensity:
        return RestartState(delayed, (*recent, death.at)), Restart(0.0)
    delay = _delay(delayed, death.status, limits, chance)
    return RestartState(delayed + 1, recent), Restart(delay)


def _was_healthy(death: Death, limits: RestartLimits) -> bool:
    return death.ready_at is not None and death.at - death.ready_at >= limits.healthy_after


def _delay(delayed: int, status: int, limits: RestartLimits, chance: float) -> float:
    longest = limits.longest_delay_unavailable if status == UNAVAILABLE else limits.longest_delay
    stretch = 1 + limits.jitter * chance
    # the exponent has a bound because a float has: a database may be gone for a week
    delay = limits.first_delay * 2.0 ** min(delayed, 64)
    return min(delay, longest / (1 + limits.jitter)) * stretch
