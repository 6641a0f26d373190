"""The table of `docs/reliability.md`: python -m tests.chaos.summary < what `make chaos` printed."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What `tests` printed, put together by `told`, under a name that its reader knows."""

    name: str
    tests: str
    told: Callable[[list[str]], str]


def _as_printed(texts: list[str]) -> str:
    return "; ".join(texts)


def _runs(texts: list[str]) -> str:
    """Of the pieces of the simulation."""
    total: Counter[str] = Counter()
    for text in texts:
        runs, moves = re.match(r"(\d+) runs of (\d+) moves", text).groups()  # type: ignore[union-attr]
        total["runs"] += int(runs)
        total.update({what: int(number) for number, what in re.findall(r"(\d+) ([a-z ]+)", text.split(": ", 1)[1])})
    return (
        f"{total['runs']:,} runs of {moves} moves: {total['tasks']:,} tasks, {total['events']:,} events,"
        f" {total['leases']:,} leases, {total['kills']:,} kills ({total['kills of a busy worker']:,} of a busy worker),"
        f" {total['stops']:,} stops, {total['cuts']:,} cuts, {total['requests']:,} requests; no promise broken"
    )


def _mutants(texts: list[str]) -> str:
    total = Counter[str]()
    for text in texts:
        total.update({what: int(number) for what, number in re.findall(r"'(\w+)': (\d+)", text)})
    tried = total.total()
    return f"{tried:,}: {total['refused']:,} refused, {tried - total['refused']:,} run; no crash of a worker"


def _calls(texts: list[str]) -> str:
    guests, calls = (sum(int(text.split()[place]) for text in texts) for place in (0, 2))
    return f"{guests:,} guests, {calls:,} calls: each a trap or a typed error, nothing left behind"


def _crashes(texts: list[str]) -> str:
    crashes = sum(int(text.split()[-2]) for text in texts)
    return f"{crashes} crashes at {len(texts)} points, none lost or doubled anything"


def _respawns(texts: list[str]) -> str:
    respawns, _, held = texts[0].partition(":")
    before, after = (dict(re.findall(r"(\w+)=(\d+)", one)) for one in held.split(") ", 1))
    memory = " and ".join(f"{int(one['resident']) / 2**20:.1f}" for one in (before, after))
    return (
        f"{respawns}: descriptors {before['descriptors']} and {after['descriptors']},"
        f" threads {before['threads']} and {after['threads']}, resident memory {memory} MiB"
    )


ROWS = (
    Row("everything at once", "test_nothing_is_lost_and_nothing_is_doubled", _as_printed),
    Row("orders of a shop", "test_every_order_is_fulfilled", _as_printed),
    Row("stale workers", "test_a_worker_that_was_stopped_for_longer", _as_printed),
    Row("simulation", "test_no_promise_is_broken", _runs),
    Row("simulation, the server standing still", "test_a_run_does_not_depend_on_when_the_server_answers", _as_printed),
    Row("rare breaks of the engine", "test_a_broken_engine_is_found", lambda texts: f"{len(texts)} tried, each found"),
    Row(
        "replays of random programs",
        "test_a_run_that_dies_anywhere|test_what_the_outside_saw",
        lambda texts: f"{_as_printed(texts)}; no difference",
    ),
    Row("damaged components", "test_no_damaged_component_harms", _mutants),
    Row("hostile calls of the host", "test_no_call_harms_the_host", _calls),
    Row("crash points", "test_a_crash_at_every_passing_of_a_point", _crashes),
    Row("locks", "test_no_pair_waits_in_a_circle", lambda texts: f"{texts[0]}, no deadlock"),
    Row("supervisor", "test_a_thousand_respawns", _respawns),
    Row("deployments", "test_nothing_fails_and_nothing_is_lost", lambda texts: f"{texts[0]}, none failed"),
    Row("timers", "test_timers_are_never_early", _as_printed),
    Row("failover", "test_nothing_acknowledged_is_lost_by_a_failover", _as_printed),
    Row("a full disk of PostgreSQL", "test_tasks_wait_for_room", _as_printed),
    Row("a network that has gone deaf", "test_no_request_is_sent_under_a_lease_that_is_over", _as_printed),
    Row("memory", "test_memory_stays_flat_over_many_tasks", _as_printed),
)


def summary(log: str) -> Iterator[str]:
    """Lines of Markdown. A row whose tests did not pass, or printed nothing, is missing."""
    found = dict(_printed(log))
    yield "| run | seed | printed |"
    yield "|---|---|---|"
    for row in ROWS:
        own = [told for name, told in found.items() if re.match(row.tests, name)]
        if own:
            seeds = ", ".join(seed for seed, _ in own if seed) or "none"
            yield f"| {row.name} | {seeds} | {row.told([text for _, text in own])} |"


def _printed(log: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """What pytest -rP shows of each test that passed: its name, its seed if it has one, and what else it printed."""
    passed = log.partition(" PASSES ")[2]
    parts = re.split(r"^_{3,} (\S.*?) _{3,}$", passed, flags=re.MULTILINE)
    for name, told in zip(parts[1::2], parts[2::2], strict=True):
        lines = told.partition("Captured stdout call")[2].splitlines()[1:]
        end = next((number for number, line in enumerate(lines) if re.match(r"[-_=!]{5,}", line)), len(lines))
        said = [line for line in lines[:end] if line]
        seed = next((line[len("DURABLE_SEED=") :] for line in said if line.startswith("DURABLE_SEED")), "")
        yield name, (seed, "; ".join(line for line in said if not line.startswith("DURABLE_SEED")))


if __name__ == "__main__":
    print(*summary(sys.stdin.read()), sep="\n")
